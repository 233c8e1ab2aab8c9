"""Data sets of the user's own, and their batches."""
