"""Every example of a task runs at toy length: trains, prunes to half of the MACs, fine-tunes, and writes its file."""

import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

import netslim.cost
from netslim.cost import measure_latency

EXAMPLES = Path(__file__).parent.parent / "examples" / "tasks"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))
HEAVY = {"audio", "detection", "generator", "keypoints", "segmentation", "siamese", "video", "yolo"}


def marked(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.slow, pytest.mark.timeout(600)] if name in HEAVY else [])


@pytest.mark.parametrize("name", [marked(name) for name in NAMES])
def test_an_example_at_toy_length(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setattr(netslim.cost, "measure_latency", functools.partial(measure_latency, seconds=0.05))
    file, example = tmp_path / "small.onnx", importlib.import_module(name)
    for judge in filter(inspect.isfunction, vars(example).values()):
        if "count" in inspect.signature(judge).parameters and judge.__defaults__:
            judge.__defaults__ = (8,)  # images
    example.main(["--steps", "2", "--onnx", str(file)])
    sys.modules.pop(name)
    text = capsys.readouterr().out
    assert all(f"{moment} " in text for moment in (" before", " right after", " fine-tuned"))
    before, after = (int(number.replace(",", "")) for number in re.findall(r"[\d,]{5,}", text)[:2])
    assert after == pytest.approx(before / 2, rel=0.02)
    assert file.stat().st_size > 1000
    assert re.search(r"before [\d.]+ ms, after [\d.]+ ms", text)
