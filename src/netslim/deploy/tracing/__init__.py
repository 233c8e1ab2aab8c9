"""From the code of a network to a graph of it: symbols in the place of its inputs."""
