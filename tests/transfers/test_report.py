"""The report: counts, coverage, plain data."""

import json

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_target import Tiny, entry

from netslim.transfers import KeyStatus, TransferReport, load_source, transfer
from netslim.transfers.strategy import Status


def test_counts_coverage_and_summary() -> None:
    kinds: list[Status] = ["mapped"] * 150 + ["skipped"] * 5 + ["unmapped"] * 10
    statuses = tuple(entry(f"key{index}", kind) for index, kind in enumerate(kinds))
    report = TransferReport(strategy="guide", source=None, statuses=statuses, covered=1_234, learnable=2_000_000)
    assert report.coverage == 1_234 / 2_000_000
    assert report.summary_lines() == [
        "Mapping Summary:",
        "  Mapped: 150 keys",
        "  Skipped: 5 keys",
        "  Unmapped: 10 keys",
        "  Coverage: 0.06 % of the learnable parameters (1,234 of 2,000,000)",
    ]


def test_a_network_without_parameters_has_no_coverage() -> None:
    assert TransferReport(strategy="guide", source=None, statuses=(), covered=0, learnable=0).coverage == 0.0


def test_the_report_is_plain_data() -> None:
    source = load_source("torchvision", "resnet18", pretrained=False)
    _, report = transfer(source, Tiny(), "guide")
    data = json.loads(json.dumps(report.to_dict()))
    assert data["source"] == {
        "library": "torchvision",
        "model_name": "resnet18",
        "pretrained": False,
        "origin": "random initialisation",
        "weights_sha256": None,
    }
    assert (data["mapped"], data["skipped"], data["unmapped"]) == (0, 2, 0)
    assert (data["covered"], data["learnable"], data["coverage"]) == (0, 9, 0.0)
    assert data["keys"][0] == {
        "key": "fc.weight",
        "status": "skipped",
        "operation": "new",
        "reason": "shape (1000, 512) in the source, (3, 2) here",
        "source_key": "fc.weight",
        "role": "",
    }


@given(st.dictionaries(st.sampled_from(["fc.weight", "fc.bias", "other"]), st.booleans()))
def test_statuses_cover_the_target_and_coverage_is_a_share(source: dict[str, bool]) -> None:
    shapes = {"fc.weight": (3, 2), "fc.bias": (3,), "other": (1,)}
    tensors = {key: torch.zeros(shapes[key] if fits else (7, 7)) for key, fits in source.items()}
    _, report = transfer(tensors, Tiny(), "guide")
    assert [entry.key for entry in report.statuses] == ["fc.weight", "fc.bias"]
    assert report.mapped + report.skipped + report.unmapped == 2
    assert report.covered == (9 if source.get("fc.weight") and source.get("fc.bias") else 0)
    assert report.skipped + report.mapped == len(source.keys() - {"other"})


def test_a_role_is_part_of_the_plain_data() -> None:
    one = KeyStatus(key="conv1.weight", status="mapped", operation="folded", reason="because", role="stem")
    report = TransferReport(strategy="select", source=None, statuses=(one,), covered=1, learnable=1)
    assert report.to_dict()["keys"][0]["role"] == "stem"


def test_a_parameter_of_the_network_itself_is_a_layer_by_its_own_name() -> None:
    """As a vision transformer's `class_token`, which lies in no layer."""
    statuses = (entry("class_token", "mapped"), entry("blocks.0.fc.weight", "mapped"))
    report = TransferReport(strategy="exact", source=None, statuses=statuses, covered=1, learnable=1)
    assert [layers for layers, _, _ in report.counts()] == ["class_token", "fc"]
