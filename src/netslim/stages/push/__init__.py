"""`netslim push`."""
