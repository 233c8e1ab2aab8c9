"""Files and decisions of the original scripts (Eric-mingjie, network-slimming) and of netslim are interchangeable.

`original_expectations.json` was recorded from the original's own `resprune.py`, `vggprune.py` and `denseprune.py`;
`original_format.py` says in data what these scripts do, and the first tests here prove it against the recording.

Where the two differ, on purpose:

* The original removes every channel whose scale is at or below the threshold, so ties with the threshold all go;
  netslim removes exactly `int(total * percent) + 1` channels, the earlier of two equal ones first.
* The original can empty a layer and then crashes; netslim leaves that layer its channel with the largest scale, and
  lists it. Every other layer is as in the original.
"""

import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import original_format as original
import pytest
import torch
from original_families import FAMILIES, Masks
from PIL import Image
from torch import Tensor, nn

import netslim
from netslim.core.errors import CheckpointError
from netslim.core.protocols import PrunableModel, PrunePlan
from netslim.cost import count_params
from netslim.models import create_model
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig
from netslim.training.optimizer import build_sgd, export_state, import_state

CASES: list[dict[str, Any]] = json.loads(original.EXPECTATIONS.read_text())
ARCHS = tuple(original.RUNS)
UNTIED = [case for case in CASES if case["levels"] is None]
REBUILT = [case for case in CASES if not case["crash"]]
IMAGES = original.fixed_images()


def case_name(case: dict[str, Any]) -> str:
    return f"{case['arch']}-{case['depth']}-{case['percent']}" + ("-tied" if case["levels"] else "")


def every(cases: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=case_name)


def full_state(case: dict[str, Any]) -> original.State:
    return original.make_state(case["arch"], case["depth"], levels=case["levels"])


def expected_masks(case: dict[str, Any]) -> Masks:
    return original.original_masks(full_state(case), case["percent"])


def pruned_state(case: dict[str, Any]) -> original.State:
    return original.prune_state(case["arch"], full_state(case), expected_masks(case))


def with_original_weights(arch: str, depth: int, levels: int | None = None) -> PrunableModel:
    model = create_model(arch, depth=depth, num_classes=10)
    model.load_state_dict(original.make_state(arch, depth, levels=levels))
    return model.eval()


def planned(case: dict[str, Any]) -> tuple[PrunableModel, PrunePlan]:
    return planned_at(case["arch"], case["depth"], case["percent"], case["levels"])


shared = functools.cache(with_original_weights)


@functools.cache
def planned_at(arch: str, depth: int, percent: float, levels: int | None) -> tuple[PrunableModel, PrunePlan]:
    model = shared(arch, depth, levels)
    return model, netslim.plan(model, IMAGES[:1], percent=percent)


def one_case(arch: str, percent: float) -> dict[str, Any]:
    """The recorded run of the family's smallest network that was rebuilt."""
    return next(c for c in REBUILT if c["arch"] == arch and c["percent"] == percent and not c["levels"])


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model.eval()(IMAGES)


def close(found: Tensor, recorded: list[float]) -> bool:
    wanted = torch.tensor(recorded).view_as(found)
    return bool((found - wanted).abs().max() <= 1e-4 * wanted.abs().max())


# The recording: what stays, and the file that the script wrote, follow from original_format.py alone.


@every(CASES)
def test_the_recorded_decisions_are_a_strict_threshold(case: dict[str, Any]) -> None:
    masks = expected_masks(case)
    assert [int(mask.sum()) for mask in masks] == [entry for entry in case["cfg"] if entry != "M"]
    assert original.digest(masks) == case["masks"]
    assert (case["crash"] is not None) == (0 in case["cfg"])


@every([case for case in CASES if "file" in case])
def test_the_recorded_file_is_reproduced_to_the_bit(case: dict[str, Any]) -> None:
    pruned = pruned_state(case)
    assert original.state_digest(pruned) == case["file"]
    assert {name: tuple(value.shape) for name, value in pruned.items()} == original.state_shapes(
        case["arch"], case["depth"], cfg=case["cfg"]
    )


# What netslim decides.


@every(UNTIED)
def test_the_same_channels_stay(case: dict[str, Any]) -> None:
    scales = original.scales_of(full_state(case))
    masks = expected_masks(case)
    total, gone = sum(map(len, masks)), sum(int((~mask).sum()) for mask in masks)
    assert gone == int(total * case["percent"]) + 1  # no ties in these cases
    _, plan = planned(case)
    emptied = []
    for group, mask, scale in zip(plan.groups, masks, scales, strict=True):
        if mask.any():
            assert group.keep == tuple(np.flatnonzero(mask))
        else:
            emptied.append(group.name)
            assert group.keep == (int(scale.argmax()),)
    assert list(plan.clamped) == emptied
    assert plan.total - plan.kept == gone - len(emptied)


@every([case for case in CASES if case["levels"]])
def test_of_equal_scales_exactly_as_many_go_as_were_asked_for_the_earlier_first(case: dict[str, Any]) -> None:
    _, plan = planned(case)
    scales = original.scales_of(full_state(case))
    flat = np.concatenate(scales)
    count = int(len(flat) * case["percent"]) + 1
    gone = np.sort(np.argsort(flat, kind="stable")[:count])
    starts = np.cumsum([0, *map(len, scales)])[:-1]
    kept = [start + index for start, group in zip(starts, plan.groups, strict=True) for index in group.keep]
    assert kept == sorted(set(range(len(flat))) - set(gone))
    recorded = np.flatnonzero(np.concatenate(expected_masks(case)))
    assert set(recorded) < set(kept)  # the original removed every tie as well
    assert {flat[index] for index in set(kept) - set(recorded)} == {original.threshold(scales, case["percent"])}


@every([case for case in REBUILT if not case["levels"] and (case["depth"] < 164 or case["percent"] == 0.4)])
def test_the_rebuilt_network_computes_the_same_from_the_same_weights(case: dict[str, Any]) -> None:
    model, plan = planned(case)
    small = netslim.apply(model, plan)
    assert close(logits(small), case["logits"])
    theirs, ours = pruned_state(case), small.state_dict()
    assert list(ours) == list(theirs)
    selected = FAMILIES[case["arch"]].selected(expected_masks(case))
    for name, value in theirs.items():
        module, _, leaf = name.rpartition(".")
        zeroed = module in selected and leaf in ("weight", "bias")  # by the original, where nothing reads it
        kept = torch.from_numpy(selected[module]) if zeroed else slice(None)
        assert leaf == "num_batches_tracked" or torch.equal(ours[name][kept], value[kept]), name


@every(REBUILT)
def test_parameters_are_the_originals_without_the_selection_vectors(case: dict[str, Any]) -> None:
    shapes = original.state_shapes(case["arch"], case["depth"], cfg=case["cfg"])
    vectors = sum(shape[0] for name, shape in shapes.items() if name.endswith("indexes"))
    model = create_model(case["arch"], depth=case["depth"], cfg=case["cfg"])
    assert count_params(model) == case["parameters"] - vectors


# Files of the original scripts.


def optimizer_of(state: original.State, *, numbered: bool = True) -> dict[str, Any]:
    """SGD's state after a step; the selection vectors are parameters that never got a gradient.

    Args:
        numbered: parameters have numbers, as since torch 1.5; else their memory addresses, as before.
    """
    names = original.parameter_names(state)
    numbers = range(len(names)) if numbered else range(139712345678912, 139712345678912 + 64 * len(names), 64)
    trained = {n: state[name] for n, name in zip(numbers, names, strict=True) if not name.endswith("indexes")}
    group = {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 1e-4, "nesterov": False}
    buffers = {number: {"momentum_buffer": torch.full_like(value, 0.5)} for number, value in trained.items()}
    return {"state": buffers, "param_groups": [{**group, "params": list(numbers)}]}


def as_of_today(state: original.State) -> dict[str, Any]:
    return {"epoch": 3, "state_dict": state, "best_prec1": torch.tensor(0.9375), "optimizer": optimizer_of(state)}


def as_of_2018(state: original.State) -> dict[str, Any]:
    counted = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    return as_of_today(counted) | {"best_prec1": 0.9375, "optimizer": optimizer_of(counted, numbered=False)}


def of_data_parallel(state: original.State) -> dict[str, Any]:
    return as_of_today(state) | {"state_dict": {f"module.{name}": value for name, value in state.items()}}


Writer = Callable[[original.State], dict[str, Any]]


DEPTHS = {arch: next(iter(runs)) for arch, runs in original.RUNS.items()}
archs = pytest.mark.parametrize("arch", ARCHS)
files = pytest.mark.parametrize(
    ("arch", "written", "zipped"),
    [
        *(("resnet", written, zipped) for written in (as_of_today, as_of_2018, of_data_parallel) for zipped in (1, 0)),
        *(
            (arch, written, zipped)
            for arch in ("vgg", "densenet")
            for written, zipped in ((as_of_today, 1), (as_of_2018, 0))
        ),
    ],
)


@files
def test_a_trained_file_of_the_original_opens(tmp_path: Path, arch: str, written: Writer, zipped: int) -> None:
    state = original.make_state(arch, DEPTHS[arch])
    torch.save(written(state), tmp_path / "model_best.pth.tar", _use_new_zipfile_serialization=bool(zipped))
    model = netslim.load(tmp_path / "model_best.pth.tar")
    torch.testing.assert_close(logits(model), logits(with_original_weights(arch, DEPTHS[arch])), rtol=0, atol=0)


@files
def test_a_pruned_file_of_the_original_opens(tmp_path: Path, arch: str, written: Writer, zipped: int) -> None:
    case = one_case(arch, 0.5)
    state = pruned_state(case)
    data = {"cfg": case["cfg"], "state_dict": written(state)["state_dict"]}
    torch.save(data, tmp_path / "pruned.pth.tar", _use_new_zipfile_serialization=bool(zipped))
    assert close(logits(netslim.load(tmp_path / "pruned.pth.tar")), case["logits"])


@every([case for case in REBUILT if case["percent"] in (0.3, 0.4) and not case["levels"]])
def test_a_refined_file_opens_though_it_has_no_cfg(tmp_path: Path, case: dict[str, Any]) -> None:
    torch.save(as_of_today(pruned_state(case)), tmp_path / "checkpoint.pth.tar")
    model = netslim.load(tmp_path / "checkpoint.pth.tar")
    assert close(logits(model), case["logits"])
    assert model.cfg == case["cfg"]


@every([case for case in CASES if case["crash"] and "file" in case][:1])
def test_a_file_with_an_emptied_layer_is_refused_with_its_place(tmp_path: Path, case: dict[str, Any]) -> None:
    torch.save({"cfg": case["cfg"], "state_dict": pruned_state(case)}, tmp_path / "pruned.pth.tar")
    with pytest.raises(CheckpointError, match=rf"cfg\[{case['cfg'].index(0)}\] is 0; a .* allows 1 to \d+ there$"):
        netslim.load(tmp_path / "pruned.pth.tar")


# Files for the original scripts.


@archs
def test_a_saved_network_has_the_originals_tensors_in_its_order(tmp_path: Path, arch: str) -> None:
    netslim.save(tmp_path / "full.pth.tar", with_original_weights(arch, DEPTHS[arch]))
    data = torch.load(tmp_path / "full.pth.tar", weights_only=True)
    assert shapes_in_order(data) == list(original.state_shapes(arch, DEPTHS[arch]).items())
    selections = [value for name, value in data["state_dict"].items() if name.endswith("indexes")]
    assert all(value.dtype == torch.float32 for value in selections)
    assert isinstance(data["epoch"], int)
    assert isinstance(data["best_prec1"], float)


@every([case for case in REBUILT if case["percent"] == 0.3 and not case["levels"]])
def test_a_pruned_network_is_saved_with_the_originals_cfg_and_tensors(tmp_path: Path, case: dict[str, Any]) -> None:
    model, plan = planned(case)
    netslim.save(tmp_path / "pruned.pth.tar", netslim.apply(model, plan))
    data = torch.load(tmp_path / "pruned.pth.tar", weights_only=True)
    assert data["cfg"] == case["cfg"]
    assert shapes_in_order(data) == list(original.state_shapes(case["arch"], case["depth"], cfg=case["cfg"]).items())
    selections = [value for name, value in data["state_dict"].items() if name.endswith("indexes")]
    assert all(set(value.unique().tolist()) <= {0.0, 1.0} for value in selections)
    step = {"resnet": 3, "densenet": 1}
    assert [int(value.sum()) for value in selections] == (case["cfg"][:: step[case["arch"]]] if selections else [])


def shapes_in_order(data: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in data["state_dict"].items()]


SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}


def after_a_step(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = build_sgd(model, **SGD)
    model.train()(IMAGES).square().sum().backward()
    optimizer.step()
    return optimizer


@archs
def test_the_originals_optimizer_takes_netslims_state(arch: str) -> None:
    model = with_original_weights(arch, DEPTHS[arch])
    exported = export_state(after_a_step(model), model)
    names = original.parameter_names(model.state_dict())
    theirs = {name: nn.Parameter(value.clone()) for name, value in model.state_dict().items() if name in names}
    optimizer = torch.optim.SGD(theirs.values(), **SGD)
    optimizer.load_state_dict(exported)
    for name, parameter in model.named_parameters():
        # momentum after the first step is the gradient and the decay of the weight before it
        gradient = parameter.grad + 1e-4 * original.make_state(arch, DEPTHS[arch])[name]
        torch.testing.assert_close(optimizer.state[theirs[name]]["momentum_buffer"], gradient)
    for name in set(names) - set(dict(model.named_parameters())):
        assert name.endswith("select.indexes")
        assert theirs[name] not in optimizer.state


@archs
def test_netslims_optimizer_takes_the_originals_state(arch: str) -> None:
    model = with_original_weights(arch, DEPTHS[arch])
    optimizer = build_sgd(model, **SGD)
    import_state(optimizer, model, optimizer_of(original.make_state(arch, DEPTHS[arch])))
    for parameter in model.parameters():
        assert torch.equal(optimizer.state[parameter]["momentum_buffer"], torch.full_like(parameter, 0.5))


@pytest.mark.parametrize("name", ["checkpoint.pth.tar", "model_best.pth.tar"])
def test_a_trained_file_has_what_the_originals_resume_reads(trained: Path, name: str) -> None:
    data = torch.load(trained / name, weights_only=True)
    assert type(data["epoch"]) is int
    assert data["epoch"] == 1
    assert type(data["best_prec1"]) is float
    assert list(data["state_dict"]) == list(original.state_shapes("resnet", 11))
    names = original.parameter_names(data["state_dict"])
    theirs = [nn.Parameter(data["state_dict"][name]) for name in names]
    torch.optim.SGD(theirs, **SGD).load_state_dict(data["optimizer"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on a few images."""
    images, folder = tmp_path_factory.mktemp("images"), tmp_path_factory.mktemp("run") / "trained"
    for part, label, index in itertools.product(("train", "test"), ("cat", "dog"), range(9)):
        file = images / part / label / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * index, np.uint8)).save(file)
    given = {"dataset": "folder", "data_dir": images, "depth": 11, "epochs": 1, "batch_size": 8, "precision": "fp32"}
    train.run(TrainConfig(**given, save=folder))
    return folder
