"""Contracts and what every room needs: errors, registries, checkpoints, run directories. Knows no model."""
