"""The page of a run or of several: one file that says how small, how fast, how accurate, and whether to trust it."""
