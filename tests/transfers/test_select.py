"""Strategy select: what the transferred network computes, and how much of it comes from the source."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from source_networks import SmallResNet, library_state
from torch import Tensor, nn

from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.transfers import transfer
from netslim.transfers.kernels import fit_inputs, resample
from netslim.transfers.strategies.select import PASS_DEVIATIONS, SelectOptions, select

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
EPSILON = 1e-5


def resnet(depth: int, **arguments: int) -> PrunableModel:
    torch.manual_seed(1)
    return create_model("resnet", depth=depth, **{"num_classes": 4, **arguments})


def moved(source: nn.Module | dict[str, Tensor], depth: int, **options: object) -> PrunableModel:
    state = source.state_dict() if isinstance(source, nn.Module) else source
    return transfer(state, resnet(depth), partial(select, options=SelectOptions(**options)))[0].eval()


def features(model: PrunableModel, images: Tensor) -> tuple[Tensor, Tensor]:
    """What the last BatchNorm gives out, and what comes into the classifier."""
    seen: list[Tensor] = []
    model.bn.register_forward_hook(lambda _, inputs, output: seen.append(output.clone()))
    model.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model.eval()(images)
    stream, pooled = seen
    return stream, pooled


def lowest(source: SmallResNet) -> float:
    """The least value of the stream before its ReLUs: 0 where one of them cuts."""
    seen: list[Tensor] = []
    for module in [source.bn1, *(block for stage in source.stages for block in stage)]:
        module.register_forward_hook(lambda _, inputs, output: seen.append(output.min()))
    with torch.no_grad():
        source(IMAGES)
    return float(torch.stack(seen).min())


# The function


@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize("select_by", ["spacing", "importance"])
def test_the_same_function_where_the_stream_stays_above_zero(blocks: int, select_by: str) -> None:
    """As wide, as deep: nothing is left out, so the BatchNorms in their new places must give the same numbers."""
    source = SmallResNet(blocks, shift=20)
    assert lowest(source) > 0
    stream, pooled = features(moved(source, 9 * blocks + 2, select_by=select_by), IMAGES)
    with torch.no_grad():
        expected = source(IMAGES)
    for found, wanted in ((stream, expected), (pooled, expected.mean((2, 3)))):
        assert (found - wanted).abs().max() < 1e-4 * wanted.std()


def test_another_function_where_the_sources_activations_cut_the_stream() -> None:
    """So that the test above can fail, and for the record: a stream without ReLU is not a stream with them."""
    source = SmallResNet(2)
    assert lowest(source) < 0
    stream, _ = features(moved(source, 20), IMAGES)
    with torch.no_grad():
        expected = source(IMAGES)
    assert (stream.relu() - expected).norm() > 0.01 * expected.norm()


def inside(block: nn.Module, second: nn.BatchNorm2d, third: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """The branch up to its last convolution; `second` and `third` follow conv1 and conv2."""
    return block.conv3(F.relu(third(block.conv2(F.relu(second(block.conv1(x)))))))


@pytest.mark.parametrize("depth", [20, 29, 38, 56])
def test_all_copies_together_add_what_the_block_adds_once(depth: int) -> None:
    source = SmallResNet(2)
    model = moved(source, depth, distinct=False)
    for ours, theirs in zip((model.layer1, model.layer2, model.layer3), source.stages, strict=True):
        block, copies = theirs[1], list(ours[1:])
        norm = block.bn3
        factor = norm.weight / (norm.running_var + EPSILON).sqrt()
        total = torch.stack([copy.conv3.weight for copy in copies]).sum(0)
        torch.testing.assert_close(total, block.conv3.weight * factor[:, None, None, None])
        x = torch.randn(2, block.conv1.in_channels, 8, 8).relu()
        with torch.no_grad():
            added = sum(inside(copy, copy.bn2, copy.bn3, x) for copy in copies)
            offset = norm.bias - norm.running_mean * factor
            expected = norm(inside(block, block.bn1, block.bn2, x))
        torch.testing.assert_close(added + offset[:, None, None], expected, rtol=1e-4, atol=1e-5)


def test_the_stem_is_folded_resampled_and_summed_over_the_colours() -> None:
    state = library_state("torchvision", "resnet18")
    rows = state["bn1.weight"].abs().topk(16).indices.sort().values
    factor = state["bn1.weight"] / (state["bn1.running_var"] + EPSILON).sqrt()
    kernel = resample(state["conv1.weight"][rows], 3) * factor[rows, None, None, None]
    colour, _ = transfer(state, resnet(11), "select")
    grey, _ = transfer(state, resnet(11, in_channels=1), "select")
    torch.testing.assert_close(colour.conv1.weight, kernel)
    expected = resample(fit_inputs(state["conv1.weight"][rows], 1), 3) * factor[rows, None, None, None]
    torch.testing.assert_close(grey.conv1.weight, expected)


# Basic blocks


def factors(model: PrunableModel, name: str) -> Tensor:
    """The 3x3 kernel that conv1 and conv2 of a block make: (out of conv2, in of conv1, 3, 3)."""
    block = model.get_submodule(name)
    return torch.einsum("okhw,ki->oihw", block.conv2.weight, block.conv1.weight[..., 0, 0]).detach()


def inner_rows(total: int, planes: int) -> slice:
    return slice(None, None, total // planes)


@pytest.mark.parametrize(("name", "planes"), [("layer1.1", 16), ("layer2.1", 32), ("layer3.1", 64)])
def test_the_factors_of_a_3x3_are_the_best_of_their_rank(name: str, planes: int, resnet18: dict[str, Tensor]) -> None:
    """Eckart and Young 1936: no matrix of this rank is closer than by the singular values that are left out."""
    kernel = resnet18[f"{name}.conv1.weight"]
    wanted = kernel[inner_rows(len(kernel), planes)]
    found = factors(moved(resnet18, 20, select_by="spacing"), name)
    assert found.shape == wanted.shape
    matrix = wanted.movedim(1, 3).reshape(-1, wanted.shape[1])
    left_out = torch.linalg.svdvals(matrix)[planes:].square().sum().sqrt()
    assert left_out > 0.1 * matrix.norm()
    torch.testing.assert_close((found - wanted).norm(), left_out, rtol=1e-4, atol=0)


def test_the_factors_are_exact_where_the_rank_is_low(resnet18: dict[str, Tensor]) -> None:
    out, inputs = torch.randn(9 * 64, 10), torch.randn(10, 64)
    low = (out @ inputs).view(64, 3, 3, 64).movedim(3, 1)
    model = moved(resnet18 | {"layer1.1.conv1.weight": low}, 20)
    torch.testing.assert_close(factors(model, "layer1.1"), low[inner_rows(64, 16)], rtol=1e-3, atol=1e-3)


def test_the_first_factors_rows_are_orthonormal_and_pass(resnet18: dict[str, Tensor]) -> None:
    block = moved(resnet18, 20).get_submodule("layer2.1")
    rows = block.conv1.weight[..., 0, 0]
    torch.testing.assert_close(rows @ rows.T, torch.eye(32), rtol=0, atol=1e-5)
    assert set(block.bn2.weight.tolist()) == {1.0}
    assert set(block.bn2.bias.tolist()) == {PASS_DEVIATIONS}


def test_where_the_source_has_no_projection_the_stream_goes_on(resnet18: dict[str, Tensor]) -> None:
    """resnet18's first stage is as wide as its stem: each of the target's 16 stem channels finds its own place."""
    model, report = transfer(resnet18, resnet(20), partial(select, options=SelectOptions(select_by="spacing")))
    expected = torch.zeros(64, 16)
    expected[torch.arange(16) * 4, torch.arange(16)] = 1
    assert torch.equal(model.layer1[0].downsample[0].weight[..., 0, 0], expected)
    entry = next(entry for entry in report.statuses if entry.key == "layer1.0.downsample.0.weight")
    assert (entry.status, entry.operation) == ("unmapped", "new")
    assert entry.reason == "the source hands the stream on: the identity"


# Coverage


@pytest.mark.parametrize(
    ("library", "name", "depth", "covered", "least"),
    [
        ("torchvision", "resnet50", 164, 1_684_528, 0.95),
        ("torchvision", "resnet101", 164, 1_684_528, 0.95),
        ("torchvision", "resnet152", 164, 1_684_528, 0.95),
        ("torchvision", "resnet18", 29, 305_232, 0.97),
        ("torchvision", "resnet34", 29, 305_232, 0.97),
        ("timm", "resnetv2_50", 164, 1_700_688, 0.99),
    ],
)
def test_nearly_everything_comes_from_the_source(
    library: str, name: str, depth: int, covered: int, least: float
) -> None:
    target = create_model("resnet", depth=depth, num_classes=10)
    _, report = transfer(library_state(library, name), target, "select")
    assert report.covered == covered
    assert report.coverage > least
    assert report.skipped == 0


def test_of_a_pre_activation_source_only_head_and_bookkeeping_is_new() -> None:
    _, report = transfer(library_state("timm", "resnetv2_50"), resnet(29), "select")
    new = [entry.key for entry in report.statuses if entry.status != "mapped"]
    assert {key if key.startswith("fc") else key.rpartition(".")[2] for key in new} == {
        "indexes",
        "num_batches_tracked",
        "fc.weight",
        "fc.bias",
    }


def test_with_nothing_folded_or_scaled_what_is_moved_stays_as_it_is() -> None:
    source, new = SmallResNet(2), resnet(20).state_dict()
    plain = partial(select, options=SelectOptions(fold=False, rescale=False, scale_branches=False))
    model, report = transfer(source.state_dict(), resnet(20), plain)
    assert {status.operation for status in report.statuses} <= {"sliced", "resampled", "new"}
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(torch.equal(model.get_submodule(name).weight, new[f"{name}.weight"]) for name in norms)
    torch.testing.assert_close(model.layer1[1].conv2.weight, source.stages[0][1].conv2.weight)
