"""What files claim is held against types and bounds, and the mistake is named in one line."""

from pathlib import Path

import pytest

from netslim.core.schemas import (
    Architecture,
    DatasetFacts,
    MetricsRow,
    RunRecord,
    RunResult,
    TopLevel,
    as_model,
    parse_json,
    read_json,
)


def test_unknown_keys_are_kept() -> None:
    assert as_model(MetricsRow, {"epoch": 1, "of a newer version": [1]}).model_dump()["of a newer version"] == [1]


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (MetricsRow, {"epoch": "1"}, "epoch: input should be a valid integer"),
        (MetricsRow, {"epoch": -1}, "epoch: input should be greater than or equal to 0"),
        (TopLevel, {"best_prec1": float("nan")}, "best_prec1: input should be a finite number"),
        (
            Architecture,
            {"name": "resnet", "arguments": {"depth": 10**6}},
            "arguments: depth 1,000,000 is more than 2,000",
        ),
        (DatasetFacts, {"std": [0.0]}, "std.0: input should be greater than 0"),
        (DatasetFacts, {"image_size": [65536, 65536]}, "an image of 65536 x 65536 is larger than"),
        (DatasetFacts, {"inputs": {"args": [{"tensor": {}}], "kwargs": {}}}, "inputs: no inputs of a network (KeyErr"),
        (DatasetFacts, {"inputs": {"args": [], "kwargs": {}}}, "inputs: an input is empty, or larger than"),
        (RunRecord, {"run_id": "1"}, "stage: field required"),
        (RunResult, {"best_top1": [0.5]}, "best_top1: input should be a valid number"),
    ],
)
def test_mistakes(kind: type, data: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=r"^") as caught:
        as_model(kind, data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_nested_too_deep(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^it is nested too deep$"):
        parse_json("[" * 100_000)
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}
