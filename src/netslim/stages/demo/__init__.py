"""`netslim demo`."""
