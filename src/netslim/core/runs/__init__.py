"""What a run's numbers depend on: its seeds, and the versions and hardware that it ran on."""
