"""Numbers about a network, without printing."""

from netslim.cost.latency import Latency as Latency
from netslim.cost.latency import measure_latency as measure_latency
from netslim.cost.macs import count_macs as count_macs
from netslim.cost.macs import count_places as count_places
from netslim.cost.macs import counting_places as counting_places
from netslim.cost.macs import measure as measure
from netslim.cost.params import count_params as count_params
