"""Network families: one file each, built from explicit widths, with their channel groups."""

from netslim.models.channel_selection import ChannelSelection as ChannelSelection
from netslim.models.registry import ARCHITECTURES as ARCHITECTURES
from netslim.models.registry import build as build
from netslim.models.registry import check_known as check_known
from netslim.models.registry import create_model as create_model
from netslim.models.registry import recognise as recognise
