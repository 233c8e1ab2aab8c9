"""Which channels go (`plan`), removing them (`apply`), holding both networks against each other (`verify`)."""

from netslim.pruning.apply import apply as apply
from netslim.pruning.bias_absorption import Absorption as Absorption
from netslim.pruning.bias_absorption import absorb_ as absorb_
from netslim.pruning.optimizer_state import carry as carry
from netslim.pruning.optimizer_state import carry_ as carry_
from netslim.pruning.optimizer_state import trains as trains
from netslim.pruning.plan import plan as plan
from netslim.pruning.plan_data import plan_from_dict as plan_from_dict
from netslim.pruning.verify import Agreement as Agreement
from netslim.pruning.verify import masked as masked
from netslim.pruning.verify import verify as verify
