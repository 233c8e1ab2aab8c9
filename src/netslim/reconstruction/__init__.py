"""What is left of a network's layers, fitted so that they give again what the unpruned layers gave."""

from netslim.reconstruction.reconstruct import Reconstruction as Reconstruction
from netslim.reconstruction.reconstruct import reconstruct_ as reconstruct_
from netslim.reconstruction.side_by_side import LayerFit as LayerFit
from netslim.reconstruction.side_by_side import Progress as Progress
