"""Residual blocks of any network that can go as a whole."""
