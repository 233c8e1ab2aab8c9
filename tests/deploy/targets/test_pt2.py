"""Target pt2 by itself: the class that writes and opens an exported program."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError
from netslim.deploy.inference import for_inference
from netslim.deploy.target import TARGETS, Bundle

ONE = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
MODEL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()


def test_one_image_as_example_leaves_the_batch_size_free(tmp_path: Path) -> None:
    target, path, facts = TARGETS.get("pt2"), tmp_path / "net.pt2", {"input_shape": [3, 6, 6], "macs": 7}
    network = for_inference(MODEL, torch.cat([ONE, ONE]))
    bundle = Bundle(model=MODEL, network=network, example=ONE, facts=facts, reopen=lambda _: MODEL)
    target.write(bundle, path)
    runnable = target.runnable(path, {"macs": 8})
    assert (runnable.shape, runnable.macs) == ((3, 6, 6), 7), "the file's own facts count"
    run = target.open(bundle, path)
    for batch in (1, 5):
        images = torch.randn(batch, 3, 6, 6)
        expected = MODEL(images).detach()
        found = run(images)
        assert not found.requires_grad
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        started = runnable.start("eager", images, 1)()
        assert isinstance(started, Tensor)
        torch.testing.assert_close(started, expected, rtol=1e-4, atol=1e-5)


def test_a_network_for_one_batch_size_is_refused_in_one_line(tmp_path: Path) -> None:
    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / len(x)

    images, model = torch.cat([ONE, ONE]), Counting()
    bundle = Bundle(model=model, network=model, example=images, facts={}, reopen=lambda _: model)
    with pytest.raises(NetslimError, match=r"^torch can't export this network for any batch size: [^\n]*$"):
        TARGETS.get("pt2").write(bundle, tmp_path / "net.pt2")
