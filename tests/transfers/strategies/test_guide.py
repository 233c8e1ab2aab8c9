"""Strategy guide, without the rest of a transfer: a layer comes whole or not at all."""

import torch
from tiny_target import Tiny

from netslim.transfers.strategies.guide import by_name_and_shape


def test_a_layer_that_agrees_is_copied() -> None:
    source = {"fc.weight": torch.ones(3, 2), "fc.bias": torch.ones(3), "other.weight": torch.ones(1)}
    proposal = by_name_and_shape(source, Tiny())
    assert [(entry.key, entry.status, entry.operation) for entry in proposal.statuses] == [
        ("fc.weight", "mapped", "copied"),
        ("fc.bias", "mapped", "copied"),
    ]
    assert all(proposal.tensors[key] is source[key] for key in ("fc.weight", "fc.bias"))


def test_a_bias_stays_behind_with_a_weight_of_another_shape() -> None:
    proposal = by_name_and_shape({"fc.weight": torch.ones(3, 5), "fc.bias": torch.ones(3)}, Tiny())
    difference = "shape (3, 5) in the source, (3, 2) here"
    assert [(entry.status, entry.reason) for entry in proposal.statuses] == [
        ("skipped", difference),
        ("skipped", f"left with its layer, where fc.weight has {difference}"),
    ]
    assert proposal.tensors == {}


def test_what_the_source_lacks_starts_anew() -> None:
    proposal = by_name_and_shape({"fc.bias": torch.ones(3)}, Tiny())
    assert [(entry.status, entry.reason, entry.source_key) for entry in proposal.statuses] == [
        ("unmapped", "not in the source: random initialisation", None),
        ("skipped", "left with its layer, where the source has no fc.weight", "fc.bias"),
    ]
