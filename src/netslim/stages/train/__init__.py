"""`netslim train`."""
