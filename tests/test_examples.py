"""The examples that need what is not installed here: their own part of the work."""

import importlib.util
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

EXAMPLES = Path(__file__).parent.parent / "examples"


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Yolo:
    """Callbacks and the order of a step as Ultralytics documents them."""

    def __init__(self) -> None:
        self.callbacks: dict[str, list[Callable[[Any], None]]] = defaultdict(list)
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.added: list[torch.Tensor] = []

    def add_callback(self, event: str, callback: Callable[[Any], None]) -> None:
        self.callbacks[event].append(callback)

    def call(self, event: str) -> None:
        for callback in self.callbacks[event]:
            callback(self)

    def train(self) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
        self.call("on_train_start")
        self.optimizer.register_step_post_hook(lambda *_: self.added.append(self.model[1].weight.grad.clone()))
        scaler.scale(self.model(torch.randn(2, 3, 8, 8)).sum() * 0).backward()
        scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=10.0)
        scaler.step(self.optimizer)
        scaler.update()
        self.call("on_train_epoch_end")
        self.call("on_train_end")


def test_the_callbacks_of_the_yolo_example(capsys: pytest.CaptureFixture[str]) -> None:
    example, yolo = load_example("ultralytics_yolo"), Yolo()
    example.slim(yolo)
    yolo.train()
    torch.testing.assert_close(yolo.added[0], torch.full((4,), example.STRENGTH))
    assert capsys.readouterr().out.startswith("4 scales: 0.0% under 0.01")
    yolo.model[1].weight.grad.zero_()
    yolo.optimizer.step()
    assert not yolo.added[1].any()  # the penalty has ended


def test_without_ultralytics_the_example_says_what_to_type() -> None:
    if importlib.util.find_spec("ultralytics"):
        pytest.skip("it is installed")
    with pytest.raises(SystemExit, match=r"^this example needs Ultralytics: pip install ultralytics \(AGPL-3\.0\)$"):
        load_example("ultralytics_yolo").main(["yolov8n.pt", "coco8.yaml"])
