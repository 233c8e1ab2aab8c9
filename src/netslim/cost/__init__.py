"""Numbers about a network, without printing."""

from netslim.cost.latency import Latency as Latency
from netslim.cost.latency import measure_latency as measure_latency
from netslim.cost.latency import torch_threads as torch_threads
from netslim.cost.macs import MacCount as MacCount
from netslim.cost.macs import MacCounter as MacCounter
from netslim.cost.macs import count_macs as count_macs
from netslim.cost.macs import count_products as count_products
from netslim.cost.macs import counting as counting
from netslim.cost.macs import measure as measure
from netslim.cost.params import count_params as count_params
