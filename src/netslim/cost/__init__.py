"""Numbers about a network, without printing."""

from netslim.cost.macs import count_macs as count_macs
from netslim.cost.macs import measure as measure
from netslim.cost.params import count_params as count_params
