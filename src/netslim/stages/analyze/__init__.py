"""`netslim sweep` and `netslim sensitivity`: prunings that are tried without training."""
