"""Target eager by itself: the class that writes and opens a folder of code."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError
from netslim.deploy.inference import Form, for_inference
from netslim.deploy.target import TARGETS, Bundle

IMAGES = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))
LAYERS = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
MODEL = LAYERS.eval()  # its layers' names are numbers


def bundle(network: nn.Module, form: Form) -> Bundle:
    facts = {"target": "eager", "form": form.to_dict(), "input_shape": [3, 6, 6], "macs": 7}
    return Bundle(model=MODEL, network=network, example=IMAGES, facts=facts, reopen=lambda _: MODEL)


@pytest.mark.parametrize("clamp", [True, False])
def test_code_computes_the_same(clamp: bool, tmp_path: Path) -> None:
    form, target = Form(clamp=clamp), TARGETS.get("eager")
    given = bundle(for_inference(MODEL, IMAGES, form), form)
    target.write(given, tmp_path / "net")
    assert ("nn.BatchNorm2d" in (tmp_path / "net/network.py").read_text()) is not clamp
    found = target.open(given, tmp_path / "net")(IMAGES)
    torch.testing.assert_close(found, MODEL(IMAGES).detach(), rtol=1e-4, atol=1e-5)


def test_a_folder_is_recognised_by_its_facts_and_run(tmp_path: Path) -> None:
    target, given = TARGETS.get("eager"), bundle(for_inference(MODEL, IMAGES), Form())
    assert target.recognises(tmp_path, given.facts)
    assert not target.recognises(tmp_path, {"target": "safetensors"})
    target.write(given, tmp_path / "net")
    runnable = target.runnable(tmp_path / "net", given.facts)
    assert (runnable.shape, runnable.macs) == ((3, 6, 6), 7)
    found = runnable.start("eager", IMAGES, 1)()
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found, MODEL(IMAGES).detach(), rtol=1e-4, atol=1e-5)


def test_a_network_without_a_graph_has_no_code(tmp_path: Path) -> None:
    with pytest.raises(NetslimError, match=r"this network has no fixed graph; type `target='pt2'`$"):
        TARGETS.get("eager").write(bundle(MODEL, Form()), tmp_path / "net")
    assert list(tmp_path.iterdir()) == []
