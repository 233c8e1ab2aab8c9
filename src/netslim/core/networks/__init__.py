"""What netslim asks of any network (what is in wrappers, inputs and outputs, modes, scales) and of torch's insides."""
