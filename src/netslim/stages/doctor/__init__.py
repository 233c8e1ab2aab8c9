"""`netslim doctor`."""
