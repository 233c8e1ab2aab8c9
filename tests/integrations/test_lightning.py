"""Lightning with the real trainer: the same bits as a plain loop, pruning on the way, resuming after it."""

import copy
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import netslim
from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.protocols import plan_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def pl() -> Any:
    """`lightning_parts`."""
    pytest.importorskip("lightning")
    return importlib.import_module("integrations.lightning_parts")


PLAIN: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulate_grad_batches": 2},
    "clipped": {"gradient_clip_val": 0.1},
    "scaled": {"plugins": "fp16"},
    "scaled-clipped": {"plugins": "fp16", "gradient_clip_val": 0.1, "accumulate_grad_batches": 2},
    "scaled-fused": {"plugins": "fp16", "fused": True},
}


@pytest.mark.parametrize("kind", ["l1", "proximal"])
@pytest.mark.parametrize("given", PLAIN.values(), ids=PLAIN)
def test_training_is_that_of_a_plain_loop(pl: Any, kind: str, given: dict[str, Any], tmp_path: Path) -> None:
    given = dict(given)
    module = pl.Classifier(fused=given.pop("fused", False))
    if "plugins" in given:
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
        given["plugins"] = pl.Fp32Scaled("16-mixed", "cpu", scaler=scaler)
    slimming = pl.NetworkSlimming("model", kind, strength=0.05)
    pl.fit(module, slimming, tmp_path, **given)
    expected = pl.plain_loop(kind, given.get("accumulate_grad_batches", 1), given.get("gradient_clip_val"))
    for one, other in zip(module.model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert slimming.report is not None
    assert slimming.report.scales == 16


def test_manual_optimization(pl: Any, tmp_path: Path) -> None:
    module = pl.ByHand()
    pl.fit(module, pl.NetworkSlimming("model", "l1", strength=0.05), tmp_path)
    for one, other in zip(module.model.parameters(), pl.plain_loop("l1", 1, None).parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_part_of_a_part_by_cost(pl: Any, tmp_path: Path) -> None:
    module, dense = pl.Nested(), netslim.measure(pl.network(), torch.zeros(1, 3, 8, 8)).macs
    slimming = pl.NetworkSlimming(
        "model.body",
        strength=0.01,
        prune_at={1: 0.6},
        budget="target_macs",
        weights="macs",
        example=torch.zeros(1, 3, 8, 8),
    )
    pl.fit(module, slimming, tmp_path)
    macs = netslim.measure(module.model["body"], torch.zeros(1, 3, 8, 8)).macs
    assert macs / dense == pytest.approx(0.6, abs=0.1)


def test_it_is_pruned_on_the_way_and_the_optimizer_goes_on(pl: Any, tmp_path: Path) -> None:
    module = pl.Classifier()
    slimming = pl.NetworkSlimming("model", "proximal", strength=0.01, prune_at={1: 0.2, 2: 0.45})
    trainer = pl.fit(module, slimming, tmp_path, max_epochs=4)
    plan = plan_of(module.model)
    assert plan is not None
    assert (plan.kept, plan.total, plan.percent) == (8, 16, 0.45)
    (optimizer,) = trainer.optimizers
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {*map(id, module.model.parameters())}
    for parameter in module.model.parameters():
        assert optimizer.state[parameter]["momentum_buffer"].shape == parameter.shape
    assert [repair.title for repair in slimming.repairs] == ["absorbed and recalibrated"] * 2
    assert trainer.lr_scheduler_configs[0].scheduler.get_last_lr() == [pytest.approx(0.1 * 0.9**4)]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1 * 0.9**4)


def test_a_run_from_a_checkpoint_after_a_pruning_ends_as_if_it_had_not_been_cut_off(pl: Any, tmp_path: Path) -> None:
    whole, again = pl.Classifier(), pl.Classifier()
    pl.fit(whole, pl.slimming(), tmp_path, max_epochs=4)
    pl.cut_off(pl.Classifier, tmp_path / "cut.ckpt")
    pl.fit(again, pl.slimming(), tmp_path, ckpt_path=tmp_path / "cut.ckpt", max_epochs=4)
    assert plan_of(again.model) == plan_of(whole.model) is not None
    for one, other in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("weights_only", [False, True])
def test_load_from_checkpoint_after_a_pruning(pl: Any, weights_only: bool, tmp_path: Path) -> None:
    trained = pl.cut_off(pl.Reloading, tmp_path / "cut.ckpt", weights_only=weights_only)
    module = pl.Reloading.load_from_checkpoint(tmp_path / "cut.ckpt", weights_only=True)
    for one, other in zip(module.model.parameters(), trained.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_that_is_written_after_the_fit_says_the_plan_too(pl: Any, tmp_path: Path) -> None:
    """Also after a second fit, which has another callback, and of a copy."""
    module, file = pl.Reloading(), tmp_path / "after.ckpt"
    pl.fit(module, pl.slimming(), tmp_path, max_epochs=2).save_checkpoint(file)
    assert (
        plan_of(pl.Reloading.load_from_checkpoint(file, weights_only=True).model) == plan_of(module.model) is not None
    )
    copied = copy.deepcopy(module)
    pl.fit(copied, pl.NetworkSlimming(strength=0.1), tmp_path, max_epochs=1).save_checkpoint(file)
    again = pl.Reloading.load_from_checkpoint(file, weights_only=True)
    assert plan_of(again.model) == plan_of(module.model)
    assert torch.equal(again.model[0].weight, copied.model[0].weight)
    assert not torch.equal(again.model[0].weight, module.model[0].weight)


def test_a_checkpoint_before_any_pruning_is_as_it_always_was(pl: Any, tmp_path: Path) -> None:
    pl.fit(
        pl.Classifier(), [pl.NetworkSlimming(strength=0.1), pl.Saving(tmp_path / "whole.ckpt")], tmp_path, max_epochs=1
    )
    pl.Reloading.load_from_checkpoint(tmp_path / "whole.ckpt", weights_only=True)
    assert "netslim_plans" not in torch.load(tmp_path / "whole.ckpt", weights_only=True)


# What is refused, and what is warned of


def test_refusals(pl: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^schedule \(0\.4, 0\.2\): with `budget='percent'` it says what"):
        pl.NetworkSlimming(strength=0.1, prune_at={2: 0.2, 1: 0.4})
    with pytest.raises(UsageError) as error:
        pl.fit(pl.Classifier(), pl.NetworkSlimming("backbone", strength=0.1), tmp_path)
    assert str(error.value) == "network 'backbone': Classifier has no network of this name (it has model)"
    ema = pl.EMAWeightAveraging()
    with pytest.raises(UsageError) as error:
        pl.fit(pl.Classifier(), [pl.NetworkSlimming(strength=0.1, prune_at={1: 0.5}), ema], tmp_path)
    assert str(error.value) == (
        "EMAWeightAveraging keeps a copy of the weights, which a pruning does not cut: leave prune_at out, and prune "
        "between two fits"
    )


def test_two_callbacks_on_one_network(pl: Any, tmp_path: Path) -> None:
    """Lightning says so itself."""
    with pytest.raises(RuntimeError, match=r"^Found more than one stateful callback of type `NetworkSlimming`"):
        pl.fit(
            pl.Classifier(),
            [pl.NetworkSlimming(strength=0.1), pl.NetworkSlimming("model", "proximal", strength=0.1)],
            tmp_path,
        )


def test_the_wrong_time_to_prune(pl: Any, tmp_path: Path) -> None:
    with pytest.warns(NetslimWarning) as found:
        pl.fit(pl.Classifier(), pl.NetworkSlimming(strength=0.1, prune_at={0: 0.2, 3: 0.5}), tmp_path, max_epochs=1)
    assert {"prune_at 0 is before any training with the penalty", "prune_at 3 is never reached: max_epochs is 1"} <= {
        str(warning.message) for warning in found
    }


ENDS = {
    "steps": ({"max_epochs": -1, "max_steps": 7}, [(step / 7 * 3, 3) for step in range(7)]),
    "steps-accumulated": (
        {"max_epochs": -1, "max_steps": 4, "accumulate_grad_batches": 2},
        [(step / 4 * 3, 3) for step in (0, 0, 1, 2, 2, 3)],
    ),
    "steps-before-epochs": ({"max_epochs": 9, "max_steps": 4}, [(step / 4 * 2, 2) for step in range(4)]),
    "epochs-before-steps": ({"max_epochs": 2, "max_steps": 99}, [(batch / 3, 2) for batch in range(6)]),
    "none": ({"max_epochs": -1, "limit_train_batches": 1}, [(0.0, sys.maxsize), (1.0, sys.maxsize)]),
}


@pytest.mark.parametrize(("given", "expected"), ENDS.values(), ids=ENDS)
def test_the_penalty_knows_where_the_training_stands_whatever_ends_it(
    pl: Any, given: dict[str, Any], expected: list[tuple[float, int]], tmp_path: Path
) -> None:
    slimming, seen = pl.NetworkSlimming("model", strength=0.01, schedule="linear"), pl.Seeing(len(expected))
    pl.fit(pl.Classifier(), [slimming, seen], tmp_path, **given)
    assert [epochs for _, epochs in seen.progress] == [epochs for _, epochs in expected]
    assert [done for done, _ in seen.progress] == pytest.approx([done for done, _ in expected])
