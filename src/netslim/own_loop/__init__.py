"""Network slimming in a training loop that is not netslim's: the penalty, what a pruning breaks, rounds of pruning."""

from netslim.own_loop.penalty import penalty as penalty
from netslim.own_loop.repair import Repair as Repair
from netslim.own_loop.repair import repair_ as repair_
from netslim.own_loop.rounds import Round as Round
from netslim.own_loop.rounds import iterative as iterative
