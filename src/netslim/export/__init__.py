"""Networks for inference (`for_inference`) and their files (`export`, one module in `targets` per kind)."""

from netslim.export.exporting import Exported as Exported
from netslim.export.exporting import export as export
from netslim.export.inference import Form as Form
from netslim.export.inference import for_inference as for_inference
from netslim.export.parity import ParityError as ParityError
from netslim.export.target import TARGETS as TARGETS
