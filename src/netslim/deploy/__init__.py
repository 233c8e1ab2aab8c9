"""Networks for inference (`for_inference`) and their files (`export`, one module in `targets` per kind)."""

from netslim.deploy.artifact import Exported as Exported
from netslim.deploy.artifact import export as export
from netslim.deploy.inference import Form as Form
from netslim.deploy.inference import for_inference as for_inference
from netslim.deploy.parity import ParityError as ParityError
from netslim.deploy.target import TARGETS as TARGETS
