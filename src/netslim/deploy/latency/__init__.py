"""How long a deployed network takes, part by part: what an engine fuses is timed at some widths, once."""

from netslim.deploy.latency.engine import Engine as Engine
