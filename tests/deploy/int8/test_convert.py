"""A whole file in int8."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from int8_networks import IMAGES, Net, content
from torch import nn

import netslim
from installed import needs
from netslim.core.errors import NetslimError, UsageError
from netslim.deploy.artifact import check_numbers
from netslim.deploy.form_memory import fastest_form
from netslim.deploy.form_search import Choice, Search
from netslim.deploy.formats.onnx_hash import check_seal
from netslim.deploy.inference import Form, simplified
from netslim.deploy.int8.convert import quantized
from netslim.deploy.int8.onnx_quantizer import OnnxQuantizer, in_int8_for_timing
from netslim.deploy.int8.processor import integers
from netslim.deploy.int8.quantizer import Function
from netslim.deploy.int8.request import Judge, Quantization
from netslim.deploy.opening import open_file
from netslim.deploy.target import TARGETS

RIGHT = Net().eval()(IMAGES).argmax(1)


def accuracy(run: Function) -> float:
    return float((run(IMAGES).argmax(1) == RIGHT).float().mean())


def request(**given: Any) -> Quantization:
    return Quantization(**{"images": [IMAGES], "judge": accuracy, "allowed": 0.1, "seconds": 0.01, **given})


def test_all_layers_really_run_in_int8() -> None:
    float_content = content(Net().eval())
    quantizer = OnnxQuantizer(float_content, [IMAGES], integers())
    found = quantized(lambda: quantizer, request(always=True, test=accuracy), float_content)
    int8 = quantizer.function(found.content)
    assert (found.layers, found.layers_int8, found.layers_float) == (5, 5, ())
    assert quantizer.layers_in_int8(found.content) == 5
    assert quantizer.layers_in_int8(float_content) == 0
    assert found.judged_float == found.test_float == 1.0
    assert found.judged_int8 == found.test_int8 == found.agreement == accuracy(int8) >= 0.9
    assert (found.bytes_float, found.bytes_int8) == (len(float_content), len(found.content))
    assert found.calibrated_on == 16
    assert found.written


@pytest.mark.parametrize("target", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
@pytest.mark.parametrize("is_slower", [False, True])
def test_int8_is_made_in_the_form_that_is_fastest_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str, is_slower: bool
) -> None:
    needs(target)

    def fastest(*_: Any, int8: bool = False) -> Choice:
        return Choice(form=Form(multiple=32 if int8 else 1, clamp=False), measured={}, int8=int8)

    monkeypatch.setattr("netslim.deploy.artifact.fastest_form", fastest)
    monkeypatch.setattr("netslim.deploy.int8.convert._is_slower", lambda _: is_slower)
    path = tmp_path / ("net.onnx" if target == "onnx" else "net")
    found = netslim.export(Net().eval(), IMAGES[:2], path, target, search=Search(), numbers=request())
    assert found.int8
    assert found.choice
    chosen = (found.int8.written, found.choice.int8, found.choice.form.multiple)
    assert chosen == ((False, False, 1) if is_slower else (True, True, 32))
    said = facts_of(path)
    assert (said["form"]["multiple"], "int8" in said) == ((1, False) if is_slower else (32, True))
    assert open_file(path, lambda _: Net()).call(target, IMAGES, None, 1)() is not None


def facts_of(path: Path) -> dict[str, Any]:
    """What an exported file or folder says of itself."""
    if path.is_dir():
        return json.loads((path / "config.json").read_text())  # type: ignore[no-any-return]
    return json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["netslim"])  # type: ignore[no-any-return]


@pytest.mark.parametrize("target", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_forms_are_timed_in_int8(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str) -> None:
    needs(target)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rounded = []

    def noted(content: bytes) -> bytes:
        rounded.append(in_int8_for_timing(content))
        return rounded[-1]

    monkeypatch.setattr(f"netslim.deploy.targets.{target}.in_int8_for_timing", noted)
    model = Net().eval()
    network, search = simplified(model, IMAGES[:2]), Search(seconds=0.01)
    choice = fastest_form(model, network, IMAGES[:1], TARGETS.get(target), search, int8=True)
    assert choice.int8
    assert [form.multiple for form in choice.measured] == [1, 16]  # 8 is what the widths are multiples of
    assert all(b"DequantizeLinear" in content for content in rounded)
    assert len(rounded) == 2


def test_without_another_form_for_int8_that_of_float_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fastest(*_: Any, int8: bool = False) -> Choice:
        if int8:
            raise NetslimError("no quantiser takes it")
        return Choice(form=Form(clamp=False), measured={})

    monkeypatch.setattr("netslim.deploy.artifact.fastest_form", fastest)
    found = netslim.export(
        Net().eval(), IMAGES[:2], tmp_path / "net.onnx", search=Search(), numbers=request(always=True)
    )
    assert (found.choice, found.int8 and found.int8.written) == (Choice(form=Form(clamp=False), measured={}), True)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    model, path = Net().eval(), tmp_path / "net.onnx"
    done = netslim.export(model, IMAGES[:2], path, numbers=request(always=True)).int8
    assert done is not None
    check_seal(path.read_bytes(), path)
    assert path.read_bytes() == done.content
    facts = facts_of(path)
    assert facts["int8"] == json.loads(json.dumps(done.facts()))
    assert facts["macs"] == netslim.measure(model, IMAGES[:1]).macs == open_file(path, lambda _: model).macs


def test_what_is_slower_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for slower, in_int8 in ((True, False), (False, True)):
        monkeypatch.setattr("netslim.deploy.int8.convert._is_slower", lambda times, slower=slower: slower)
        done = netslim.export(Net().eval(), IMAGES[:2], tmp_path / "net.onnx", numbers=request()).int8
        assert done is not None
        assert done.written is in_int8
        assert ((tmp_path / "net.onnx").read_bytes() == done.content) is in_int8


def test_an_impossible_demand_leaves_nothing_behind(tmp_path: Path) -> None:
    calls: list[float] = []

    def only_float(run: Function) -> float:
        calls.append(accuracy(run))
        return float(len(calls) == 1)

    with pytest.raises(NetslimError, match=r"with a single layer in int8 more is lost than the 0\.1 allowed"):
        netslim.export(Net().eval(), IMAGES[:2], tmp_path / "net.onnx", numbers=request(judge=only_float))
    assert list(tmp_path.iterdir()) == []


def test_other_targets_have_no_int8(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"`target='pt2'`: it has no int8; type `target='onnx'` or `target='openvino'`"
    ):
        netslim.export(Net().eval(), IMAGES[:2], tmp_path / "net.pt2", "pt2", numbers=request())
    with pytest.raises(UsageError, match=r"`target='openvino'`: it has no 16-bit weights; type `target='onnx'`$"):
        check_numbers("openvino", "half")


def test_several_outputs_are_refused(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.conv(x), x

    judge: Judge = lambda run: float(run(IMAGES).sum())  # noqa: E731
    with pytest.raises(NetslimError, match="int8 is for networks with one output, and this one has 2"):
        netslim.export(Two().eval(), IMAGES[:2], tmp_path / "net.onnx", numbers=request(judge=judge))
