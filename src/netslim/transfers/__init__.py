"""From a pretrained network's weights to one of netslim's models, with a report that says what was really carried."""

from netslim.transfers.apply import transfer
from netslim.transfers.kernel_lengths import shorten_
from netslim.transfers.report import TransferReport
from netslim.transfers.sources import Source, load_source
from netslim.transfers.strategies import STRATEGIES
from netslim.transfers.strategy import KeyStatus, Proposal, Status, Strategy

__all__ = [
    "STRATEGIES",
    "KeyStatus",
    "Proposal",
    "Source",
    "Status",
    "Strategy",
    "TransferReport",
    "load_source",
    "shorten_",
    "transfer",
]
