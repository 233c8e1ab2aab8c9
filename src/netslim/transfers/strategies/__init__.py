"""One file per transfer strategy; each registers a `Strategy` under the name that the command line takes."""

from netslim.core.plugins.registry import Registry
from netslim.transfers.strategy import Strategy

STRATEGIES: Registry[Strategy] = Registry("transfer strategy", "netslim.transfers.strategies")
