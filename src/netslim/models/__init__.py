"""Network families: one file each, built from explicit widths, with their channel groups."""

from netslim.models.channel_selection import ChannelSelection as ChannelSelection
from netslim.models.create import build as build
from netslim.models.create import check_known as check_known
from netslim.models.create import create_model as create_model
from netslim.models.create import recognise as recognise
from netslim.models.registry import ARCHITECTURES as ARCHITECTURES
