"""Files into tensors, with a bound on what they may claim."""
