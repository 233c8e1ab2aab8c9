"""What int8 needs, and what becomes of it."""

import json
from typing import Any

import pytest
import torch

from netslim.core.errors import DataError
from netslim.cost import Latency
from netslim.deploy.int8.request import Quantization, Quantized


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 4, 4), iter([torch.zeros(2, 3)]), [(torch.zeros(2, 3), 1)], None])
def test_images_that_are_no_list_of_tensors(images: Any) -> None:
    with pytest.raises(DataError, match=r"^images of type \w+: give a list of batches \(N, C, H, W\), without labels$"):
        Quantization(images=images, judge=lambda run: 0.0)


def latency(median: float) -> Latency:
    return Latency(median=median, lower_quartile=median / 2, upper_quartile=2 * median, runs=5)


def made(**given: Any) -> Quantized:
    plain = {
        "content": b"x",
        "written": True,
        "run_time": "ONNX Runtime",
        "integers": "U8S8",
        "layers": 5,
        "layers_int8": 4,
    }
    judged = {"judged_float": 0.9, "judged_int8": 0.8, "test_float": None, "test_int8": None, "agreement": 0.75}
    sizes = {"bytes_float": 400, "bytes_int8": 100, "calibrated_on": 16, "layers_float": ("fc",)}
    return Quantized(**{**plain, **judged, **sizes, "time_float": latency(3), "time_int8": latency(2), **given})


def test_the_speed_up_is_of_medians() -> None:
    assert made().speed_up == 1.5
    assert made(time_int8=latency(6)).speed_up == 0.5


def test_facts_are_data_without_what_a_machine_measured() -> None:
    facts = made().facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["layers_float"] == ["fc"]
    assert {name for name in Quantized.__dataclass_fields__ if name not in facts} == {
        *("content", "written", "bytes_float", "bytes_int8", "time_float", "time_int8")
    }


def test_half_a_percent_may_be_lost_and_progress_is_silent() -> None:
    asked = Quantization(images=[torch.zeros(1)], judge=lambda run: 0.0)
    assert (asked.allowed, asked.always, asked.test) == (0.005, False, None)
    asked.progress("calibrating")
