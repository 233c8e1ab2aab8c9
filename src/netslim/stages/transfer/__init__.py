"""`netslim transfer`."""
