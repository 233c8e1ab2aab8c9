import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.networks.torch_internals import PlainAdam, PlainAdamW, PlainSGD
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.optimizer_setup import build_optimizer, check_optimizer, decays_scales
from netslim.training.penalties import PENALTIES, Penalty, no_penalty

Train = Callable[..., dict[str, Any]]
SPARSE = {"sparsity_regularization": True, "epochs": 1}
OWN = """
import torch

def two_rates(model, lr, weight_decay):
    norms = [p for p in model.parameters() if p.ndim == 1]
    others = [p for p in model.parameters() if p.ndim > 1]
    return torch.optim.RMSprop([{"params": norms, "lr": 0.1 * lr}, {"params": others}], lr=lr)

def nothing(parameters):
    return 3

def with_a_tensor(parameters, lr):
    return torch.optim.Adam(parameters, lr=torch.tensor(lr))
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(OWN)
    return f"{tmp_path}/mine.py"


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))


def penalty(name: str, model: nn.Module) -> Penalty:
    return PENALTIES.get(name).build(model, 0.1)


@pytest.mark.parametrize(
    ("given", "decays"),
    [
        ({}, True),
        ({"sparsity_regularization": True}, True),
        ({"sparsity_regularization": True, "penalty": "proximal"}, False),
        ({"sparsity_regularization": True, "penalty": "polarization", "scale_decay": True}, True),
        ({"scale_decay": False}, False),
    ],
)
def test_decay_of_scales_is_the_originals_unless_the_penalty_is_not(given: dict[str, Any], decays: bool) -> None:
    assert decays_scales(TrainConfig(**given)) == decays


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sgd", PlainSGD),
        ("adam", PlainAdam),
        ("adamw", PlainAdamW),
        ("torch.optim:RAdam", torch.optim.RAdam),
    ],
)
def test_the_optimizer_is_the_one_that_is_named(name: str, kind: type[torch.optim.Optimizer]) -> None:
    model = small()
    found = build_optimizer(TrainConfig(optimizer=name, lr=0.003, weight_decay=0.02), model, no_penalty(model))
    assert type(found) is kind
    assert (found.param_groups[0]["lr"], found.param_groups[0]["weight_decay"]) == (0.003, 0.02)
    assert sum(len(group["params"]) for group in found.param_groups) == len(list(model.parameters()))


def test_an_own_optimizers_rates_keep_their_ratio_under_the_schedule(
    own: str, run_train: Train, tmp_path: Path
) -> None:
    model = small()
    found = build_optimizer(TrainConfig(optimizer=f"{own}:two_rates", lr=0.01), model, no_penalty(model))
    assert [group["initial_lr"] for group in found.param_groups] == [0.001, 0.01]
    run_train(save=tmp_path / "run", optimizer=f"{own}:two_rates", lr=0.001, epochs=1)
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["lr"] == pytest.approx(0.0001)  # of the first group


def test_adams_state_is_carried_through_pruning_and_taken_up(
    run_train: Train, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"optimizer": "adam", "lr": 0.001}
    run_train(save=tmp_path / "sparse", **given, **SPARSE, penalty="proximal")
    dense = tmp_path / "sparse" / "checkpoint.pth.tar"
    prune.run(PruneConfig(model=dense, data_dir=folder, device="cpu", save=tmp_path / "pruned", recalibrate=0))
    small = netslim.load(tmp_path / "pruned" / "pruned.pth.tar")
    found = torch.load(tmp_path / "pruned" / "pruned.pth.tar")["optimizer"]["state"]
    for number, parameter in enumerate(small.parameters()):
        assert found[number]["exp_avg"].shape == found[number]["exp_avg_sq"].shape == parameter.shape
        assert found[number]["step"] > 0
    capsys.readouterr()
    run_train(save=tmp_path / "small", refine=tmp_path / "pruned" / "pruned.pth.tar", epochs=1, **given)
    assert "going on with the momentum" in capsys.readouterr().out
    run_train(save=tmp_path / "other", refine=tmp_path / "pruned" / "pruned.pth.tar", epochs=1)
    assert "the state of optimizer adam in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimizer": "adamx"}, "unknown optimizer 'adamx'; did you mean adam or adamw? (known: adam, adamw, sgd)"),
        ({"optimizer": "adam", "momentum": 0.5}, "`momentum=0.5`: it is SGD's, and `optimizer='adam'`: leave it out"),
        ({"optimizer": "torch.optim:Adm"}, "`optimizer='torch.optim:Adm'`: torch.optim has no 'Adm'"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_optimizer(TrainConfig(**given))
    assert str(caught.value).startswith(message)


def test_a_rate_that_is_sgds_is_warned_of() -> None:
    with pytest.warns(NetslimWarning, match=r"`lr=0.1` is much for adamw, whose usual rates are 0.0001 to 0.01"):
        check_optimizer(TrainConfig(optimizer="adamw"))


def test_own_code_that_gives_none_or_whose_steps_are_not_known(own: str) -> None:
    model = small()
    with pytest.raises(UsageError, match=r"it gives an int, not an optimizer"):
        build_optimizer(TrainConfig(optimizer=f"{own}:nothing"), model, no_penalty(model))
    with pytest.raises(UsageError, match=r"those of RMSprop are not known: type `penalty='l1'`"):
        build_optimizer(TrainConfig(optimizer=f"{own}:two_rates"), model, penalty("proximal", model))


def test_a_rate_that_is_a_tensor_becomes_a_number_that_files_record(own: str) -> None:
    model = small()
    found = build_optimizer(TrainConfig(optimizer=f"{own}:with_a_tensor", lr=0.5), model, no_penalty(model))
    assert (type(found.param_groups[0]["lr"]), found.param_groups[0]["lr"]) == (float, 0.5)
