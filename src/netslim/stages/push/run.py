"""`netslim push`: a network and its card to the Hugging Face hub."""

import tempfile
from pathlib import Path
from typing import Any

from netslim.core.errors import CheckpointError
from netslim.core.files import file_hash
from netslim.core.hub import HubAddress, check_repository, send_folder
from netslim.core.runs.file_names import BEST, PRUNED
from netslim.core.safetensors_folder import is_folder
from netslim.deploy import export
from netslim.network import read
from netslim.report.console import say
from netslim.stages.export.facts import export_facts
from netslim.stages.push.card import card_of
from netslim.stages.push.config import PushConfig
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.networks import loader, sound_network
from netslim.stages.slim.run_folder import NETWORK

RESULTS = (BEST, PRUNED)  # of a run's folder, the first that there is


def run(config: PushConfig) -> dict[str, Any]:
    """Writes weights, configuration and card to a folder for a while; sends it with `yes`, else shows the card.

    Raises:
        ArgumentError: what is to be sent to is no `user/name`.
        CheckpointError: the file.
        NetslimError: the hub refuses, or can't be reached.
    """
    check_repository(config.to)
    path = _network_in(config.model)
    checkpoint = read(path)
    model = sound_network(checkpoint, path, config.arch, config.arch_args).eval()
    card = card_of(model, checkpoint, path, config.to, config.license)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "network"
        export(
            model,
            example_input(model, checkpoint.dataset, batch=2),
            folder,
            "safetensors",
            facts=export_facts(model, checkpoint, path),
            reopen=loader(config.arch, config.arch_args),
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
        files = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
        listed = ", ".join(f"{name} ({size:,} bytes)" for name, size in files.items())
        if not config.yes:
            say(card)
            say(f"nothing was sent; with `yes=True` these go to {config.to}: {listed}")
            return {"repository": config.to, "files": files, "sent": None}
        sent = send_folder(folder, config.to, private=config.private, message=f"netslim: {path.name}")
    say(f"sent {listed} to {sent}; netslim.load({str(HubAddress(config.to))!r}) opens it")
    return {"repository": config.to, "files": files, "sent": sent}


def _network_in(path: Path) -> Path:
    """The checkpoint in a run's folder, or of the step that wrote the small network; anything else as it is."""
    if (path / NETWORK).is_file():
        return _step_of(path / NETWORK)
    if not path.is_dir() or is_folder(path):
        return path
    found = [path / name for name in RESULTS if (path / name).is_file()]
    if not found:
        raise CheckpointError(
            f"{path} is a folder without a network: give a checkpoint, or the folder of a finished run"
        )
    return found[0]


def _step_of(small: Path) -> Path:
    """The file of the step that a small network is the copy of: what was recorded lies beside it."""
    steps = sorted(each for name in RESULTS for each in small.parent.glob(f"*/{name}"))
    return next((each for each in reversed(steps) if file_hash(each) == file_hash(small)), small)
