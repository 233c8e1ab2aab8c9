"""`netslim list`."""
