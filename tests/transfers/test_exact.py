"""Strategy exact: the same logits where nothing changes, and nothing lost where the images do."""

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models

import netslim
from netslim.core.errors import UsageError
from netslim.models import create_model
from netslim.transfers import TransferReport
from netslim.transfers.kernels import fit_inputs, resample
from netslim.transfers.sources import load_source
from netslim.transfers.strategies.exact import same_network
from netslim.transfers.strategy import KeyStatus

KINDS = [
    ("torchvision", "resnet18"),
    ("torchvision", "resnet50"),
    ("torchvision", "resnext50_32x4d"),
    ("timm", "resnet10t"),
    ("timm", "test_resnet"),
    ("timm", "ecaresnet26t"),
    ("timm", "resnetblur18"),
    ("timm", "resnetv2_18"),
    ("timm", "legacy_seresnet18"),
]
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def network(library: str, model: str, seed: int = 0) -> nn.Module:
    """The library's own, in eval mode, with BatchNorms of which no scale, shift or statistic is 0 or 1."""
    torch.manual_seed(seed)
    build = {
        "torchvision": lambda: torchvision_models.get_model(model, weights=None),
        "timm": lambda: timm.create_model(model, pretrained=False),
    }
    found: nn.Module = build[library]()
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 1.0)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean = 0.1 * torch.randn_like(module.bias)
            module.running_var = torch.empty_like(module.bias).uniform_(0.5, 2.0)
    return found.eval()


def moved(source: nn.Module, name: str, **arguments: object) -> tuple[nn.Module, TransferReport]:
    model, report = netslim.transfer(source.state_dict(), create_model(name, **arguments), "exact")
    return model.eval(), report


def entry_of(report: TransferReport, key: str) -> KeyStatus:
    return next(entry for entry in report.statuses if entry.key == key)


@pytest.mark.parametrize(("library", "model"), KINDS)
def test_the_logits_are_the_sources(library: str, model: str) -> None:
    source = network(library, model)
    copied, report = moved(source, f"{library}/{model}")
    assert report.mapped == len(source.state_dict())
    assert report.coverage == 1
    assert {(entry.operation, entry.reason) for entry in report.statuses} == {("copied", "same name and shape")}
    assert all(entry.source_key == entry.key for entry in report.statuses)
    with torch.no_grad():
        assert torch.equal(copied(IMAGES), source(IMAGES))


def test_a_network_that_both_libraries_have_goes_across() -> None:
    source = network("torchvision", "resnet18")
    copied, _ = moved(source, "timm/resnet18")
    with torch.no_grad():
        torch.testing.assert_close(copied(IMAGES), source(IMAGES))


def test_the_pruned_copy_is_still_the_source_with_channels_silenced() -> None:
    copied, _ = moved(network("timm", "seresnet18"), "timm/seresnet18")
    assert isinstance(copied, netslim.core.protocols.PrunableModel)
    pruned = netslim.apply(copied, netslim.plan(copied, IMAGES, percent=0.4))
    assert netslim.verify(copied, pruned, IMAGES).holds


def test_small_grey_images_and_other_classes_change_the_two_ends_only() -> None:
    source = network("torchvision", "resnet18")
    target = create_model("torchvision/resnet18", num_classes=5, in_channels=1, stem="cifar")
    copied, report = netslim.transfer(source.state_dict(), target, "exact")
    given, found = source.state_dict(), copied.state_dict()
    assert torch.equal(found["conv1.weight"], fit_inputs(resample(given["conv1.weight"], 3), 1))
    for key in ("fc.weight", "fc.bias"):
        assert torch.equal(found[key], target.state_dict()[key])
    between = [key for key in found if key not in ("conv1.weight", "fc.weight", "fc.bias")]
    assert all(torch.equal(found[key], given[key]) for key in between)
    assert (report.mapped, report.skipped, report.unmapped) == (len(found) - 2, 2, 0)
    stem, head = entry_of(report, "conv1.weight"), entry_of(report, "fc.weight")
    assert (stem.status, stem.operation) == ("mapped", "resampled")
    assert stem.reason == "kernel of 7x7 resampled to 3x3, energy kept and 3 input channels fitted to 1"
    assert (head.status, head.operation, head.source_key) == ("skipped", "new", "fc.weight")
    assert head.reason == "shape (1000, 512) in the source, (5, 512) here"


def test_grey_images_alone_fit_the_inputs() -> None:
    source = network("timm", "resnetv2_18")
    copied, report = moved(source, "timm/resnetv2_18", in_channels=1)
    assert entry_of(report, "stem.conv.weight").reason == "3 input channels fitted to 1"
    grey = IMAGES[:, :1]
    with torch.no_grad():
        torch.testing.assert_close(copied(grey), source(grey.expand(-1, 3, -1, -1)), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("model", "stem"), [("resnet26d", "conv1.0.weight"), ("resnetv2_18d", "stem.conv1.weight")])
def test_a_deep_stem_keeps_its_kernels(model: str, stem: str) -> None:
    source = network("timm", model)
    copied, report = moved(source, f"timm/{model}", stem="cifar")
    assert entry_of(report, stem).operation == "copied"
    assert torch.equal(copied.state_dict()[stem], source.state_dict()[stem])


@pytest.mark.parametrize(
    ("library", "model", "roles"),
    [
        (
            "torchvision",
            "resnet18",
            {
                "conv1.weight": "stem",
                "bn1.running_var": "stem",
                "layer1.0.conv2.weight": "layer1.0 conv2",
                "layer2.0.downsample.1.bias": "layer2.0 downsample.1",
                "fc.bias": "head",
            },
        ),
        (
            "timm",
            "resnetv2_18",
            {
                "stem.conv.weight": "stem",
                "stages.1.blocks.0.norm1.weight": "stages.1.blocks.0 norm1",
                "norm.weight": "norm",
                "head.fc.weight": "head",
            },
        ),
    ],
)
def test_every_tensor_has_a_role(library: str, model: str, roles: dict[str, str]) -> None:
    _, report = moved(network(library, model), f"{library}/{model}")
    assert all(entry.role for entry in report.statuses)
    assert {key: entry_of(report, key).role for key in roles} == roles


def test_a_head_that_fits_in_part_starts_anew() -> None:
    source = network("torchvision", "resnet18")
    state = {key: tensor for key, tensor in source.state_dict().items() if key != "fc.bias"}
    target = create_model("torchvision/resnet18")
    copied, report = netslim.transfer(state, target, "exact")
    assert torch.equal(copied.state_dict()["fc.weight"], target.state_dict()["fc.weight"])
    assert (entry_of(report, "fc.weight").status, entry_of(report, "fc.bias").status) == ("skipped", "unmapped")


def test_files_without_batch_counters_are_whole() -> None:
    state = network("timm", "test_resnet").state_dict()
    old = {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    copied, report = netslim.transfer(old, create_model("timm/test_resnet"), "exact")
    assert report.mapped == len(old)
    assert report.coverage == 1
    assert entry_of(report, "bn1.num_batches_tracked").reason == "not in the source: keeps its initial values"
    assert all(torch.equal(copied.state_dict()[key], old[key]) for key in old)


def refusal(source: dict[str, Tensor], name: str, **arguments: object) -> str:
    with torch.device("meta"):
        target = create_model(name, **arguments)
    with pytest.raises(UsageError) as caught:
        netslim.transfer(source, target, "exact")
    return str(caught.value)


HINT = "; type `arch='same'` for the source's own network, or another `strategy`"


def test_another_network_is_refused_with_the_first_differences(resnet18: dict[str, Tensor]) -> None:
    assert refusal(resnet18, "torchvision/resnet50") == (
        "strategy 'exact' needs the same network on both sides, and the source is another one than "
        "`arch='torchvision/resnet50'`: 188 tensors differ: layer1.0.conv1.weight is (64, 64, 3, 3) instead of "
        "(64, 64, 1, 1); layer1.0.conv3.weight is missing; layer1.0.bn3.weight is missing; "
        "layer1.0.bn3.bias is missing; "
        "layer1.0.bn3.running_mean is missing; layer1.0.bn3.running_var is missing; "
        "layer1.0.downsample.0.weight is missing; layer1.0.downsample.1.weight is missing; "
        f"layer1.0.downsample.1.bias is missing; layer1.0.downsample.1.running_mean is missing; and 178 more{HINT}"
    )


def test_a_wider_stem_is_another_network() -> None:
    state = dict(network("timm", "test_resnet").state_dict())
    first = "conv1.0.weight"
    state[first] = torch.zeros(99, 3, 3, 3)
    shape = tuple(create_model("timm/test_resnet").state_dict()[first].shape)
    assert refusal(state, "timm/test_resnet") == (
        "strategy 'exact' needs the same network on both sides, and the source is another one than "
        f"`arch='timm/test_resnet'`: 1 tensors differ: {first} is (99, 3, 3, 3) instead of {shape}{HINT}"
    )


def test_the_guides_network_is_another_one(resnet18: dict[str, Tensor]) -> None:
    found = refusal(resnet18, "resnet", depth=11)
    assert "and the source is another one than `arch='resnet'`: " in found
    assert "layer1.0.select.indexes is missing" in found


def test_any_architecture_is_copied_into_itself() -> None:
    torch.manual_seed(0)
    source = create_model("resnet", depth=11, num_classes=4)
    copied, report = netslim.transfer(source.state_dict(), create_model("resnet", depth=11, num_classes=4), "exact")
    assert report.mapped == len(source.state_dict())
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in copied.state_dict().items())


def test_a_classifier_that_is_no_resnet_goes_over_whole_but_for_its_heads() -> None:
    source = load_source("torchvision", "googlenet", pretrained=False)
    target = create_model("torchvision/googlenet", num_classes=3, stem="cifar")
    proposal = same_network(source.state_dict, target)
    left = {entry.key for entry in proposal.statuses if entry.status != "mapped"}
    assert left == {f"{head}.{part}" for head in ("fc", "aux1.fc2", "aux2.fc2") for part in ("weight", "bias")}
    assert {entry.key: entry.role for entry in proposal.statuses}["conv1.conv.weight"] == "stem"
    assert proposal.tensors["conv1.conv.weight"].shape == (64, 3, 3, 3)
    assert torch.equal(proposal.tensors["conv2.conv.weight"], source.state_dict["conv2.conv.weight"])
