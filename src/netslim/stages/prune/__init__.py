"""`netslim prune`."""
