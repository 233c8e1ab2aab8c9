"""`netslim export`."""
