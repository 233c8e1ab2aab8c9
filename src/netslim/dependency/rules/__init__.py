"""What operations do to channels: one rule for each kind of operation of torch's ATen set."""
