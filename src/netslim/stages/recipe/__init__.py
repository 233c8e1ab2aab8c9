"""`netslim recipe`."""
