"""Images brought to another size: as in ONNX Runtime."""

import pytest
from operator_cases import case, chain, check, f32, ints

SIZED = {"scales": f32(1, 1, 2, 2)}
CASES = [
    *(
        case(
            "Resize",
            order=["x", "", "scales"],
            tensors=SIZED,
            mode=mode,
            coordinate_transformation_mode=rule,
            name=f"{mode}-{rule}",
        )
        for mode, rule in (
            ("linear", "half_pixel"),
            ("linear", "pytorch_half_pixel"),
            ("linear", "align_corners"),
            ("linear", "asymmetric"),
            ("nearest", "half_pixel"),
            ("nearest", "asymmetric"),
            ("cubic", "half_pixel"),
        )
    ),
    *(
        case(
            "Resize",
            order=["x", "", "", "sizes"],
            tensors={"sizes": ints(2, 6, 12, 7)},
            inputs={"x": [2, 6, 8, 10]},
            name=f"{mode}-sizes",
            mode=mode,
            nearest_mode=rounding,
            coordinate_transformation_mode=rule,
        )
        for mode, rule, rounding in (
            ("linear", "half_pixel", "floor"),
            ("nearest", "asymmetric", "floor"),
            ("nearest", "half_pixel", "round_prefer_ceil"),
            ("nearest", "align_corners", "ceil"),
        )
    ),
    case("Upsample", tensors={"scales": f32(1, 1, 2, 3)}, mode="nearest", opset=9),
    case("Upsample", scales=[1.0, 1.0, 2.0, 2.0], mode="nearest", opset=7),
    case("Resize", tensors={"scales": f32(1, 1, 2, 3)}, mode="nearest", opset=10),
    chain(
        "sizes computed",
        "Shape x > s; Slice s two four > hw; Mul hw two > big; Slice s first two > nc; "
        "Concat nc big > to axis=0; Resize x _ _ to > y coordinate_transformation_mode=asymmetric nearest_mode=floor",
    ),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
