"""Operators by families; each file puts its own into the table of `operators`."""
