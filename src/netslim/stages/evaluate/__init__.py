"""`netslim evaluate`."""
