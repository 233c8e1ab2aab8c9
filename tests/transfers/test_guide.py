"""The guide's strategy: what it carries from real architectures, and its rule on small hand-made networks."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.transfers import STRATEGIES, TransferReport, load_source, transfer


@pytest.fixture(scope="module")
def resnet164() -> PrunableModel:
    return create_model("resnet", depth=164, num_classes=10, in_channels=3)


def mapped_keys(report: TransferReport) -> set[str]:
    return {entry.key for entry in report.statuses if entry.status == "mapped"}


def batchnorms(*blocks: str) -> set[str]:
    parts = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    return {f"{block}.bn1.{part}" for block in blocks for part in parts}


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_resnet50_gives_depth_164_ten_batchnorms_and_no_convolution(library: str, resnet164: PrunableModel) -> None:
    source = load_source(library, "resnet50", pretrained=False)
    model, report = transfer(source, resnet164, "guide")
    blocks = [f"layer{stage}.{block}" for stage, last in ((1, 2), (2, 3), (3, 5)) for block in range(1, last + 1)]
    assert mapped_keys(report) == batchnorms(*blocks)
    assert (report.covered, report.learnable) == (3_584, 1_703_258)
    assert report.covered == 2 * (2 * 64 + 3 * 128 + 5 * 256)
    assert report.summary_lines() == [
        "Mapping Summary:",
        "  Mapped: 50 keys",
        "  Skipped: 190 keys",
        "  Unmapped: 798 keys",
        "  Coverage: 0.21 % of the learnable parameters (3,584 of 1,703,258)",
    ]
    state = model.state_dict()
    before = resnet164.state_dict()
    for key in state:
        assert torch.equal(state[key], (source.state_dict if key in mapped_keys(report) else before)[key]), key


@pytest.mark.parametrize(("name", "norms", "covered"), [("resnet101", 22, 9_728), ("resnet152", 26, 10_752)])
def test_deeper_sources_give_more_batchnorms_and_no_convolution(
    name: str, norms: int, covered: int, resnet164: PrunableModel
) -> None:
    _, report = transfer(load_source("torchvision", name, pretrained=False), resnet164, "guide")
    assert len(mapped_keys(report)) == 5 * norms
    assert all(".bn1." in key for key in mapped_keys(report))
    assert (report.covered, report.learnable) == (covered, 1_703_258)


def test_resnet18_also_gives_two_downsampling_convolutions(
    resnet18: dict[str, Tensor], resnet164: PrunableModel
) -> None:
    _, report = transfer(resnet18, resnet164, "guide")
    convolutions = {key for key in mapped_keys(report) if ".bn" not in key}
    assert convolutions == {"layer2.0.downsample.0.weight", "layer3.0.downsample.0.weight"}
    assert report.covered == 128 * 64 + 256 * 128 + 2 * (64 + 128 + 256)


def test_every_key_has_one_fate_and_its_reason(resnet18: dict[str, Tensor], resnet164: PrunableModel) -> None:
    _, report = transfer(resnet18, resnet164, "guide")
    rows = {key: (status, reason) for key, status, reason in report.rows()}
    assert list(rows) == list(resnet164.state_dict())
    assert report.mapped + report.skipped + report.unmapped == len(rows)
    assert rows["conv1.weight"] == ("skipped", "shape (64, 3, 7, 7) in the source, (16, 3, 3, 3) here")
    assert rows["fc.weight"] == ("skipped", "shape (1000, 512) in the source, (10, 256) here")
    assert rows["layer1.1.bn1.weight"] == ("mapped", "same name and shape")
    assert rows["layer1.0.bn1.num_batches_tracked"] == (
        "skipped",
        "left with its layer, where layer1.0.bn1.weight has shape (64,) in the source, (16,) here",
    )
    indexes = ("unmapped", "not in the source: channel selection, all ones until pruned")
    assert {rows[key] for key in rows if key.endswith("select.indexes")} == {indexes}
    assert rows["layer1.17.conv1.weight"] == ("unmapped", "not in the source: random initialisation")
    assert rows["bn.weight"] == ("unmapped", "not in the source: keeps its initial values")


def test_the_whole_network_comes_back_from_its_own_weights() -> None:
    source = create_model("resnet", depth=20, num_classes=10, in_channels=3)
    target = create_model("resnet", depth=20, num_classes=10, in_channels=3)
    model, report = transfer(source.state_dict(), target, "guide")
    assert (report.coverage, report.skipped, report.unmapped) == (1.0, 0, 0)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.eval()(images), source.eval()(images))


def test_neither_source_nor_target_changes() -> None:
    source = create_model("resnet", depth=20, num_classes=10, in_channels=3).state_dict()
    target = create_model("resnet", depth=20, num_classes=10, in_channels=3)
    source_before = {key: tensor.clone() for key, tensor in source.items()}
    target_before = {key: tensor.clone() for key, tensor in target.state_dict().items()}
    model, _ = transfer(source, target, "guide")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(source[key], source_before[key]) for key in source)
    assert all(torch.equal(tensor, target_before[key]) for key, tensor in target.state_dict().items())


class Tiny(PrunableModel):
    """One convolution, one BatchNorm, one classifier."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, 10)


def statuses(source: dict[str, Tensor]) -> dict[str, str]:
    _, report = transfer(source, Tiny(), "guide")
    return {entry.key: entry.status for entry in report.statuses}


def test_a_lone_batch_counter_counts_as_nothing() -> None:
    found = statuses({"bn.num_batches_tracked": torch.tensor(7)})
    assert found.pop("bn.num_batches_tracked") == "skipped"
    assert set(found.values()) == {"unmapped"}


def test_statistics_stay_behind_without_the_scale_they_belong_to() -> None:
    source = Tiny().state_dict()
    source["bn.weight"] = torch.ones(5)
    found = statuses(source)
    assert {status for key, status in found.items() if key.startswith("bn.")} == {"skipped"}
    assert found["conv.weight"] == "mapped"


def test_a_scale_of_a_norm_without_statistics_stays_behind() -> None:
    source = {"bn.weight": torch.ones(4), "bn.bias": torch.zeros(4)}  # a GroupNorm
    found = statuses(source)
    assert (found["bn.weight"], found["bn.running_mean"]) == ("skipped", "unmapped")


def test_old_weights_without_batch_counters_are_taken() -> None:
    source = Tiny().state_dict()
    del source["bn.num_batches_tracked"]
    found = statuses(source)
    assert found.pop("bn.num_batches_tracked") == "unmapped"
    assert set(found.values()) == {"mapped"}


def test_a_bias_stays_behind_without_its_weight() -> None:
    source = Tiny().state_dict() | {"fc.weight": torch.zeros(10, 512)}
    assert statuses(source)["fc.bias"] == "skipped"


def test_half_precision_weights_arrive_in_the_targets_precision() -> None:
    source = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in Tiny().state_dict().items()
    }
    model, report = transfer(source, Tiny(), "guide")
    assert report.coverage == 1.0
    assert model.state_dict()["conv.weight"].dtype == torch.float32
    assert torch.equal(model.state_dict()["conv.weight"], source["conv.weight"].float())


def test_frozen_parameters_are_not_counted_as_learnable() -> None:
    target = Tiny()
    target.fc.requires_grad_(False)
    _, report = transfer(Tiny().state_dict(), target, "guide")
    assert (report.covered, report.learnable) == (116, 3 * 4 * 9 + 8)


def test_an_unknown_strategy_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"^unknown transfer strategy 'guid'; did you mean guide\? \(known: .*guide"):
        transfer({}, Tiny(), "guid")
    assert "guide" in STRATEGIES.names()
