"""Strategy select: which channels and blocks go where, read back from weights that hold their own index."""

from collections.abc import Mapping
from functools import partial

import pytest
import torch
from source_networks import SmallResNet, decoded, encoded, library_state
from torch import Tensor

from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.transfers import TransferReport, transfer
from netslim.transfers.strategies.select import SelectOptions, select

PLANES, STEM = (24, 64, 96, 100), 40  # of the source; the target takes 16, 32 and 64 of them, and a stem of 16
EPSILON = 1e-5
AS_IT_IS = {"fold": False, "rescale": False, "scale_branches": False}  # kernels are cut out and nothing else


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Two blocks in each of four stages; BatchNorm scales are random, kernels hold their index."""
    plain = SmallResNet(2, planes=PLANES, stem=STEM).state_dict()
    return {key: encoded(plain)[key] if tensor.dim() == 4 else tensor for key, tensor in plain.items()}


def moved(state: Mapping[str, Tensor], depth: int = 20, **options: object) -> tuple[PrunableModel, TransferReport]:
    target = create_model("resnet", depth=depth, num_classes=4)
    return transfer(state, target, partial(select, options=SelectOptions(**options)))


def spaced(total: int, wanted: int) -> list[int]:
    return [i * total // wanted for i in range(wanted)]


def strongest(state: Mapping[str, Tensor], names: list[str], wanted: int) -> list[int]:
    """The channels of the largest summed |gamma|, in their order."""
    scores = torch.stack([state[f"{name}.weight"].abs() for name in names]).sum(0).tolist()
    return sorted(sorted(range(len(scores)), key=lambda channel: -scores[channel])[:wanted])


def streams(state: Mapping[str, Tensor], select_by: str) -> list[list[int]]:
    """The channels that the stem and the stages should give."""
    if select_by == "spacing":
        return [
            spaced(STEM, 16),
            *(spaced(4 * planes, 4 * ours) for planes, ours in zip(PLANES, (16, 32, 64), strict=False)),
        ]
    found = [strongest(state, ["bn1"], 16)]
    for stage, ours in enumerate((16, 32, 64), 1):
        names = [f"layer{stage}.{name}" for name in ("0.bn3", "1.bn3", "0.downsample.1")]
        found.append(strongest(state, names, 4 * ours))
    return found


@pytest.mark.parametrize("select_by", ["spacing", "importance"])
def test_one_index_set_per_stream_for_all_that_touch_it(select_by: str, state: dict[str, Tensor]) -> None:
    model, _ = moved(state, select_by=select_by, **AS_IT_IS)
    expected = streams(state, select_by)
    assert decoded(model.conv1.weight)[0] == expected[0]
    for stage, layer in enumerate((model.layer1, model.layer2, model.layer3), 1):
        first, second = layer
        before, after = expected[stage - 1 : stage + 1]
        assert decoded(first.downsample[0].weight) == (after, before)
        assert decoded(first.conv1.weight)[1] == before
        assert decoded(second.conv1.weight)[1] == after
        assert decoded(first.conv3.weight)[0] == decoded(second.conv3.weight)[0] == after


@pytest.mark.parametrize("depth", [11, 20, 47])
def test_inner_channels_are_the_same_on_both_sides_of_their_norm(depth: int, state: dict[str, Tensor]) -> None:
    model, _ = moved(state, depth, **AS_IT_IS)
    plain = {key: tensor for key, tensor in encoded(state).items() if tensor.dim() == 1}
    norms, _ = moved(state | plain, depth)
    for stage, (planes, ours) in enumerate(zip(PLANES, (16, 32, 64), strict=False), 1):
        for number, block in enumerate(model.get_submodule(f"layer{stage}")):
            rows, _ = decoded(block.conv1.weight)
            assert decoded(block.conv2.weight) == (rows, rows)
            assert decoded(block.conv3.weight)[1] == rows
            for name in ("bn2", "bn3"):
                norm = norms.get_submodule(f"layer{stage}.{number}.{name}")
                assert (norm.weight - 1).tolist() == (norm.bias - 1).tolist() == rows
            if number < 2:
                assert rows == spaced(planes, ours)


def test_inner_statistics_follow_the_inputs_that_are_left(state: dict[str, Tensor]) -> None:
    """Of a share s of independent inputs, scaled by s ** -0.5, the mean grows by s ** 0.5 and the variance stays."""
    model, _ = moved(state)
    rows, share = spaced(PLANES[1], 32), 32 / PLANES[1]
    norm = model.layer2[1].bn3
    torch.testing.assert_close(norm.running_mean, state["layer2.1.bn2.running_mean"][rows] * share**0.5)
    torch.testing.assert_close(norm.running_var, state["layer2.1.bn2.running_var"][rows])


@pytest.mark.parametrize(
    ("planes", "depth", "sets"), [(16, 29, 1), (40, 29, 2), (64, 47, 4), (64, 65, 4), (160, 38, 3)]
)
def test_copies_take_other_inner_channels_as_long_as_there_are_any(planes: int, depth: int, sets: int) -> None:
    plain = SmallResNet(2, planes=(planes, 32, 64)).state_dict()
    model, _ = moved(encoded(plain), depth, **AS_IT_IS)
    taken = [tuple(decoded(block.conv1.weight)[0]) for block in model.layer1][1:]
    assert len(set(taken)) == sets
    assert len({channel for channels in taken for channel in channels}) == 16 * sets
    assert taken == [taken[i % sets] for i in range(len(taken))]


def test_of_a_pre_activation_source_the_norms_keep_their_places() -> None:
    plain = library_state("timm", "resnetv2_50")
    state = plain | {key: tensor for key, tensor in encoded(plain).items() if "norm" in key}
    model, report = moved(state, 56, select_by="spacing")
    origins = {entry.key: entry.source_key for entry in report.statuses}
    for stage, blocks in ((1, (0, 1, 1, 2, 2, 2)), (3, (0, 1, 2, 3, 4, 5))):
        widths = [spaced(64, 16), spaced(256, 64), spaced(512, 128), spaced(1024, 256)]
        for number, theirs in enumerate(blocks):
            block, name = model.get_submodule(f"layer{stage}.{number}"), f"stages.{stage - 1}.blocks.{theirs}"
            for ours, source in (("bn1", "norm1"), ("bn2", "norm2"), ("bn3", "norm3")):
                for suffix in ("weight", "bias", "running_mean", "running_var"):
                    assert origins[f"layer{stage}.{number}.{ours}.{suffix}"] == f"{name}.{source}.{suffix}"
            assert (block.bn1.weight - 1).tolist() == widths[stage if number else stage - 1]
            assert torch.equal(block.bn1.running_var, block.bn1.weight)
            assert (block.bn2.weight - 1).tolist() == (block.bn2.bias - 1).tolist()


@pytest.mark.parametrize(("last_stage", "norm"), [("drop", "stages.3.blocks.0.norm1"), ("merge", "norm")])
def test_the_last_norm_is_the_one_that_follows_the_last_stage_taken(last_stage: str, norm: str) -> None:
    plain = library_state("timm", "resnetv2_50")
    state = plain | {key: tensor for key, tensor in encoded(plain).items() if "norm" in key}
    model, report = moved(state, 29, select_by="spacing", last_stage=last_stage)
    origins = [
        entry.source_key for entry in report.statuses if entry.key.startswith("bn.") and entry.status == "mapped"
    ]
    assert origins == [f"{norm}.{suffix}" for suffix in ("weight", "bias", "running_mean", "running_var")]
    channels = (model.bn.weight - 1).int().tolist()
    assert len(set(channels)) == 256
    assert (channels == spaced(1024, 256)) == (last_stage == "drop")


# The fourth stage


def fourth(state: Mapping[str, Tensor]) -> list[int]:
    """The fourth stage's channels in the third's places."""
    model, report = moved(state, 38, last_stage="merge", **AS_IT_IS)
    names = [entry.source_key for entry in report.statuses if entry.key.endswith("conv3.weight")]
    assert names[-4:] == [f"layer{stage}.{block}.conv3.weight" for stage, block in ((3, 0), (3, 1), (4, 0), (4, 1))]
    found = decoded(model.layer3[3].conv3.weight)[0]
    assert decoded(model.layer3[3].conv1.weight)[1] == decoded(model.layer3[2].conv3.weight)[0] == found
    assert decoded(model.layer3[2].conv1.weight)[1] == decoded(model.layer3[0].conv3.weight)[0]
    return found


def test_merged_channels_go_where_the_projection_has_them_from(state: dict[str, Tensor]) -> None:
    """A projection that shuffles: channel c of the third stage goes on as channel (7 c + 3) % 400 of the fourth."""
    chosen = streams(state, "importance")[3]
    shuffle = torch.zeros(400, 384, 1, 1)
    shuffle[(7 * torch.arange(384) + 3) % 400, torch.arange(384)] = 1
    found = fourth(state | {"layer4.0.downsample.0.weight": shuffle})
    assert found == [(7 * channel + 3) % 400 for channel in chosen]


def test_of_a_dense_projection_every_channel_is_taken_at_most_once(state: dict[str, Tensor]) -> None:
    """The strongest link comes first, each weighed with what the projection's BatchNorm makes of it."""
    weight = torch.randn(400, 384, 1, 1, generator=torch.Generator().manual_seed(0))
    found = fourth(state | {"layer4.0.downsample.0.weight": weight})
    assert len(set(found)) == len(found) == 256
    norm = {name: state[f"layer4.0.downsample.1.{name}"] for name in ("weight", "running_var")}
    factor = (norm["weight"] / (norm["running_var"] + EPSILON).sqrt()).abs()
    links = weight[:, streams(state, "importance")[3], 0, 0].abs() * factor[:, None]
    expected: dict[int, int] = {}
    for place in links.flatten().argsort(descending=True).tolist():
        row, column = divmod(place, 256)
        if column not in expected and row not in expected.values():
            expected[column] = row
    assert found == [expected[column] for column in range(256)]


def test_without_a_projection_merged_channels_are_evenly_spaced(state: dict[str, Tensor]) -> None:
    without = {key: tensor for key, tensor in state.items() if not key.startswith("layer4.0.downsample")}
    assert fourth(without) == spaced(400, 256)


def test_dropped_means_that_nothing_of_it_is_used(state: dict[str, Tensor]) -> None:
    _, report = moved(state)
    assert not any((entry.source_key or "").startswith("layer4") for entry in report.statuses)


# Parts switched off


def kernels(model: PrunableModel) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in model.state_dict().items() if tensor.dim() == 4}


def ratios(state: Mapping[str, Tensor], depth: int, **options: object) -> dict[str, float]:
    """Kernel by kernel, what the option that is off would have multiplied it with."""
    on, off = kernels(moved(state, depth)[0]), kernels(moved(state, depth, **options)[0])
    found = {}
    for key, kernel in on.items():
        factor = float(kernel.norm() / off[key].norm())
        torch.testing.assert_close(kernel, off[key] * factor)
        found[key] = factor
    return found


def test_rescale_grows_kernels_by_the_inputs_left_out(state: dict[str, Tensor]) -> None:
    found = ratios(state, 20, rescale=False)
    assert found["conv1.weight"] == 1
    assert found["layer1.0.conv1.weight"] == pytest.approx((STEM / 16) ** 0.5)
    assert found["layer1.1.conv1.weight"] == pytest.approx((96 / 64) ** 0.5)
    for key in ("layer3.1.conv2.weight", "layer3.1.conv3.weight", "layer2.0.downsample.0.weight"):
        assert found[key] == pytest.approx((96 / 64) ** 0.5)


def test_scaled_branches_share_what_the_block_adds(state: dict[str, Tensor]) -> None:
    """Three copies: equal ones (16 of 24 channels) add up to 1, two different sets (32 of 64) by their squares."""
    found = ratios(state, 38, scale_branches=False)
    changed = {key: factor for key, factor in found.items() if factor != pytest.approx(1)}
    assert set(changed) == {f"layer{stage}.{block}.conv3.weight" for stage in (1, 2, 3) for block in (1, 2, 3)}
    assert changed["layer1.2.conv3.weight"] == pytest.approx(1 / 3)
    assert changed["layer2.2.conv3.weight"] == pytest.approx(2**0.5 / 3)


def test_without_distinct_channels_copies_are_equal(state: dict[str, Tensor]) -> None:
    for distinct in (True, False):
        layer = moved(state, 29, distinct=distinct)[0].layer2
        assert torch.equal(layer[1].conv2.weight, layer[2].conv2.weight) != distinct


def test_without_fold_norms_stay_as_they_were(state: dict[str, Tensor]) -> None:
    model, report = moved(state, fold=False)
    target = create_model("resnet", depth=20, num_classes=4).state_dict()
    norms = [entry for entry in report.statuses if "norm" in entry.role]
    assert {entry.status for entry in norms} == {"unmapped"}
    assert all(torch.equal(model.state_dict()[entry.key], target[entry.key]) for entry in norms)
    factor = state["bn1.weight"] / (state["bn1.running_var"] + EPSILON).sqrt()
    folded = moved(state)[0].conv1.weight
    rows = streams(state, "importance")[0]
    torch.testing.assert_close(folded, model.conv1.weight * factor[rows, None, None, None])


def test_inconsistent_streams_draw_anew_every_time(state: dict[str, Tensor]) -> None:
    layer = moved(state, consistent=False, **AS_IT_IS)[0].layer1
    sets = [decoded(layer[0].conv3.weight)[0], decoded(layer[1].conv1.weight)[1], decoded(layer[1].conv3.weight)[0]]
    assert len({tuple(channels) for channels in sets}) == 3
    assert all(channels == sorted(set(channels)) and len(channels) == 64 for channels in sets)
    again = moved(state, consistent=False, **AS_IT_IS)[0].layer1
    assert torch.equal(again[1].conv3.weight, layer[1].conv3.weight)


@pytest.mark.parametrize(("spread", "filled"), [(True, {0, 1, 2, 3}), (False, {0, 1})])
def test_without_spread_the_last_blocks_stay_new(spread: bool, filled: set[int], state: dict[str, Tensor]) -> None:
    _, report = moved(state, 38, spread=spread)
    statuses = {entry.key: entry for entry in report.statuses}
    assert {n for n in range(4) if statuses[f"layer2.{n}.conv2.weight"].status == "mapped"} == filled
    reason = statuses["layer2.3.conv2.weight"].reason
    assert reason == (
        "32 of 64 outputs, 32 of 64 inputs" if spread else "nothing in the source for it: keeps its initial values"
    )
