"""`netslim report`."""
