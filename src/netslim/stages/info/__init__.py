"""`netslim info`."""
