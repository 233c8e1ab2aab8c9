"""Images brought to another size: as in ONNX Runtime."""

import pytest
from operator_cases import case, chain, check, f32, ints, slowly

from netslim.models.onnx_import.interpolation import ROUNDED

SIZED = {"scales": f32(1, 1, 2, 2)}
MODES = ("nearest", "linear", "cubic")
REGION, BEYOND = (0, 0, 0.2, 0.1, 1, 1, 0.8, 0.7), (0, 0, -0.3, 0.2, 1, 1, 0.6, 1.4)
RULES = [
    *((mode, rule, {}) for mode in MODES for rule in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel")),
    *((mode, rule, {}) for mode in MODES for rule in ("asymmetric", "align_corners")),
    *(("nearest", "half_pixel", {"nearest_mode": rounding}) for rounding in ROUNDED),
    *(("cubic", rule, {"exclude_outside": 1}) for rule in ("half_pixel", "align_corners")),
    ("cubic", "half_pixel", {"cubic_coeff_a": -0.5}),
    *((mode, "half_pixel", {"antialias": 1}) for mode in ("linear", "cubic")),
    *((mode, "align_corners", {"antialias": 1}) for mode in ("linear", "cubic")),
    ("linear", "half_pixel", {"antialias": 1, "exclude_outside": 1}),
    ("cubic", "half_pixel", {"antialias": 1, "exclude_outside": 1, "cubic_coeff_a": -0.5}),
]


def resized(mode, rule, *, scales=None, sizes=None, roi=None, shape=None, **attributes):
    tensors = {"scales": f32(*scales)} if scales else {"sizes": ints(*sizes)}
    tensors |= {"roi": f32(*roi)} if roi else {}
    order = ["x", "roi" if roi else "", *(["scales"] if scales else ["", "sizes"])]
    name = "-".join([mode, rule, *map(str, scales or sizes), *(f"{key}={value}" for key, value in attributes.items())])
    settings = {"mode": mode, "coordinate_transformation_mode": rule, **attributes}
    return case(
        "Resize", order=order, inputs={"x": shape or [2, 6, 8, 10]}, tensors=tensors, opset=18, name=name, **settings
    )


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
    *(resized(mode, rule, sizes=(2, 6, 5, 17), **attributes) for mode, rule, attributes in RULES),
    *slowly(
        *(
            resized(mode, rule, scales=scales, **attributes)
            for mode, rule, attributes in RULES
            for scales in ((1, 1, 2.5, 1.3), (1, 1, 0.4, 0.7))
            if attributes or scales[2] > 1
        )
    ),
    *(resized(mode, rule, sizes=(2, 6, 1, 3)) for mode in MODES for rule in ("half_pixel", "pytorch_half_pixel")),
    *(
        resized(mode, "tf_crop_and_resize", sizes=(2, 6, 7, 9), roi=roi, extrapolation_value=2.5)
        for mode in MODES
        for roi in (REGION, BEYOND)
    ),
    *(resized(mode, "half_pixel", sizes=(9, 7), axes=[2, 3]) for mode in MODES),
    *(
        resized(mode, "half_pixel", sizes=(9, 9), axes=[2, 3], keep_aspect_ratio_policy=policy)
        for mode in MODES
        for policy in ("not_larger", "not_smaller")
    ),
    *(resized(mode, "half_pixel", scales=(1, 2, 2, 1), shape=[2, 4, 5, 3]) for mode in ("nearest", "linear")),
    *(
        resized("linear", "half_pixel", scales=scales, shape=shape)
        for scales, shape in (((1, 1, 2), [2, 3, 5]), ((1, 1, 2, 1.5, 2), [2, 3, 5, 4, 3]), ((2, 3), [4, 5]))
    ),
    resized("nearest", "half_pixel", scales=(2, 1, 1, 1), shape=[2, 3, 4, 5], nearest_mode="ceil"),
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
