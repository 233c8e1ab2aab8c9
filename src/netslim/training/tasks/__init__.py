"""What a network is for: the loss that trains it, and the metric that judges it."""
