"""Grids, patches and spectra: as in ONNX Runtime."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import groups_of, made, numbers, read
from operator_cases import case, check, f32, ints

from netslim.core.errors import CheckpointError

GRID = {"x": [2, 3, 5, 6], "g": [2, 4, 7, 2]}
WAVE = {"x": [2, 20, 1]}
WINDOWS = ("HannWindow", "HammingWindow", "BlackmanWindow")


def windowed(kind, **attributes):
    nodes = [helper.make_node(kind, ["n"], ["w"], **attributes), helper.make_node("Mul", ["x", "w"], ["y"])]
    return pytest.param(made(nodes, {"x": ["n", 9]}, ["y"], {"n": np.array(9)}), id=f"{kind}-{attributes}")


def frames(length=8, bell=None, **attributes):
    tensors = {"step": np.array(3), **({"w": bell} if bell is not None else {}), "length": np.array(length)}
    order = ["x", "step", "w" if bell is not None else "", "length"]
    return case(
        "STFT", inputs=WAVE, tensors=tensors, order=order, name=f"{bell is not None}-{attributes}", **attributes
    )


def spectrum(shape, length=None, opset=20, **attributes):
    tensors = {**({"l": np.array(length)} if length else {}), "a": np.array(attributes.pop("axis", 1))}
    order = ["x", "l" if length else "", "a"]
    if opset < 20:
        attributes["axis"] = int(tensors.pop("a"))
        order = order[:2]
    name = "-".join(map(str, [*shape, length, *attributes]))
    return case("DFT", inputs={"x": shape}, tensors=tensors, order=order, opset=opset, name=name, **attributes)


CASES = [
    *(
        case(
            "GridSample",
            inputs=GRID,
            mode=mode,
            padding_mode=border,
            align_corners=corners,
            opset=20,
            name=f"{mode}-{border}-{corners}",
        )
        for mode in ("linear", "nearest")
        for border in ("zeros", "border", "reflection")
        for corners in (0, 1)
    ),
    case("GridSample", inputs=GRID, mode="cubic", opset=20, name="cubic"),
    case("GridSample", inputs=GRID, mode="bicubic", opset=16, name="bicubic"),
    case("GridSample", inputs=GRID, opset=16),
    *(
        case(
            "AffineGrid",
            inputs={"x": [2, 2, 3]},
            tensors={"s": ints(2, 3, 5, 6)},
            align_corners=corners,
            opset=20,
            name=str(corners),
        )
        for corners in (0, 1)
    ),
    case("Col2Im", inputs={"x": [2, 12, 12]}, tensors={"i": ints(5, 4), "b": ints(2, 2)}, opset=18),
    *(windowed(kind, periodic=periodic) for kind in WINDOWS for periodic in (0, 1)),
    *(frames(onesided=side) for side in (0, 1)),
    frames(bell=f32(*np.hanning(8))),
    *(spectrum([2, 10, 1], onesided=side) for side in (0, 1)),
    *(spectrum([2, 10, 2], inverse=inverse) for inverse in (0, 1)),
    spectrum([2, 10, 3, 1], length=6),
    spectrum([2, 10, 3, 1], length=16, axis=2),
    spectrum([2, 10, 1], opset=17),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def test_a_spectrum_of_too_many_numbers_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"\(DFT\) is of 5000 numbers \(at most 4096\)"):
        check(spectrum([1, 5000, 1]).values[0], tmp_path)


def test_channels_that_are_sampled_go_and_the_grids_stay(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["c"]),
        helper.make_node("Conv", ["x", "u"], ["p"]),
        helper.make_node("Transpose", ["p"], ["g"], perm=[0, 2, 3, 1]),
        helper.make_node("GridSample", ["c", "g"], ["s"]),
        helper.make_node("Conv", ["s", "w"], ["y"]),
    ]
    tensors = {"v": numbers(8, 3, 1, 1), "u": numbers(2, 3, 1, 1), "w": numbers(5, 8, 1, 1)}
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, 5, 6]}, ["y"], tensors))
    assert len(groups_of(network)) == 1
