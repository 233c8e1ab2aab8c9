"""`netslim bench`."""
