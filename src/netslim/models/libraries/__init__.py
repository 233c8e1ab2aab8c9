"""Libraries of networks, one plug-in per file: names, construction, and where their pretrained weights are."""
