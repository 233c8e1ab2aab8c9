"""Which channels of any network belong together: found by running it on shapes, held against the cut network."""
