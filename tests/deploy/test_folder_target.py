"""Targets of folders that a run time of their own opens."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.core.safetensors_folder import CONFIG, read_facts
from netslim.deploy.folder_target import FolderTarget, for_one_image, in_turn
from netslim.deploy.inference import simplified
from netslim.deploy.target import Bundle

IMAGES = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(32, 5)).eval()


class Weights(FolderTarget):
    """Target "weights" keeps a linear layer as bytes."""

    def files(self, network: nn.Module, example: Any) -> dict[str, bytes]:
        assert isinstance(example, Tensor)
        weight, bias = (own.detach().numpy().tobytes() for own in network.parameters())
        return {"weight": weight, "bias": bias}

    def function(self, folder: Path, threads: int) -> Any:
        assert threads
        weight, bias = (
            torch.frombuffer(bytearray((folder / name).read_bytes()), dtype=torch.float32)
            for name in ("weight", "bias")
        )
        return lambda images: images.flatten(1) @ weight.view(5, 32).T + bias


TARGET = Weights(engines=("weights",))


@pytest.fixture
def written(tmp_path: Path) -> tuple[Bundle, Path]:
    bundle = Bundle(
        model=MODEL, network=MODEL, example=IMAGES, reopen=lambda _: MODEL,
        facts={"target": "weights", "input_shape": [2, 4, 4], "macs": 160},
    )  # fmt: skip
    TARGET.write(bundle, tmp_path / "net")
    return bundle, tmp_path / "net"


def test_a_folder_runs_as_its_user_will_run_it(written: tuple[Bundle, Path]) -> None:
    bundle, folder = written
    torch.testing.assert_close(TARGET.open(bundle, folder)(IMAGES), MODEL(IMAGES))
    facts = read_facts(folder / CONFIG)
    assert TARGET.recognises(folder, facts)
    assert not TARGET.recognises(folder, {"target": "openvino"})
    found = TARGET.runnable(folder, facts)
    assert (found.shape, found.macs) == ((2, 4, 4), 160)
    torch.testing.assert_close(found.start("weights", IMAGES, 1)(), MODEL(IMAGES))


def test_a_form_is_timed_by_the_engine() -> None:
    network = simplified(MODEL, IMAGES)
    torch.testing.assert_close(TARGET.caller(network, IMAGES)(), MODEL(IMAGES))


def test_a_damaged_file_is_refused(written: tuple[Bundle, Path]) -> None:
    bundle, folder = written
    (folder / "bias").write_bytes(bytes(20))
    with pytest.raises(CheckpointError, match=r"bias is damaged: its hash is not the one in config\.json"):
        TARGET.open(bundle, folder)
    with pytest.raises(CheckpointError, match="bias is damaged"):
        TARGET.runnable(folder, read_facts(folder / CONFIG))


class Two(nn.Module):
    """Several inputs, one of which is the same for all images, and nested outputs."""

    def forward(self, image: Tensor, factor: Tensor) -> dict[str, Any]:
        return {"sum": image.sum((1, 2, 3)), "more": [image * factor]}


def test_a_network_for_one_image_runs_batches_in_turn() -> None:
    inputs = {"image": IMAGES, "factor": torch.tensor([2.0, 3.0, 4.0, 5.0])}
    flat, one = for_one_image(Two(), inputs)
    assert [tuple(tensor.shape) for tensor in one] == [(1, 2, 4, 4), (4,)]
    total, scaled = in_turn(flat)(*inputs.values())
    torch.testing.assert_close(total, IMAGES.sum((1, 2, 3)))
    torch.testing.assert_close(scaled, IMAGES * inputs["factor"])
