"""Target `safetensors`: the trained network itself, in a folder that `netslim.load` opens."""

from __future__ import annotations

from pathlib import Path

from netslim.core.safetensors_folder import write_folder
from netslim.deploy.target import TARGETS, Bundle, Run, Target, without_gradients


class SafetensorsTarget(Target):
    """`model.safetensors` and `config.json`; nothing is folded, so that training can go on."""

    def write(self, bundle: Bundle, path: Path) -> None:
        """Writes both files."""
        write_folder(path, bundle.model.state_dict(), bundle.facts)

    def open(self, bundle: Bundle, path: Path) -> Run:
        """Rebuilds the network from the folder."""
        return without_gradients(bundle.reopen(path))


TARGETS.register("safetensors")(SafetensorsTarget(summary="to train on", for_inference=False))
