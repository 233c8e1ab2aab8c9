"""`netslim profile`."""
