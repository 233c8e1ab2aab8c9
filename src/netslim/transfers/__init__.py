"""From a pretrained network's weights to one of netslim's models, with a report that says what was really carried."""

from netslim.transfers.apply import transfer
from netslim.transfers.protocol import Fate, KeyFate, Proposal, Strategy
from netslim.transfers.report import TransferReport
from netslim.transfers.sources import Source, load_source
from netslim.transfers.strategies import STRATEGIES

__all__ = [
    "STRATEGIES",
    "Fate",
    "KeyFate",
    "Proposal",
    "Source",
    "Strategy",
    "TransferReport",
    "load_source",
    "transfer",
]
