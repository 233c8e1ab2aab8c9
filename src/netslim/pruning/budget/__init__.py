"""From a budget to the number of channels that every group loses."""
