"""Lightning with the real trainer: the same bits as a plain loop, pruning on the way, resuming after it."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import netslim
from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.protocols import plan_of

pytest.importorskip("lightning")
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.plugins import MixedPrecision

from netslim.integrations import NetworkSlimming, rebuild_

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
GENERATOR = torch.Generator().manual_seed(2)
DATA = TensorDataset(torch.randn(24, 3, 8, 8, generator=GENERATOR), torch.randint(4, (24,), generator=GENERATOR))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    for place in (1, 4):
        nn.init.uniform_(model[place].weight, 0.01, 1)
    return model


class Classifier(LightningModule):
    """As a reader would write it."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.model, self.fused = network(), fused

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, fused=self.fused)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)]


class Reloading(Classifier):
    """With the line that `load_from_checkpoint` needs."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        rebuild_(self, checkpoint)


def fit(module: LightningModule, slimming: Any, folder: Path, ckpt_path: Any = None, **given: Any) -> Trainer:
    settings: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "logger": False, **given}
    settings = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False, **settings}
    callbacks = [*(slimming if isinstance(slimming, list) else [slimming])]
    trainer = Trainer(default_root_dir=folder, callbacks=callbacks, **settings)
    trainer.fit(module, DataLoader(DATA, batch_size=8), ckpt_path=ckpt_path)
    return trainer


def plain_loop(kind: str, parts: int, clip: float | None) -> nn.Module:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.9)
    penalty = netslim.penalty(model, kind, strength=0.05, optimizer=optimizer)
    for _ in range(2):
        for number, (images, labels) in enumerate(DataLoader(DATA, batch_size=8)):
            (F.cross_entropy(model(images), labels) / parts).backward()
            if (number + 1) % parts and number < 2:
                continue
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            penalty.before_step_()
            optimizer.step()
            penalty.after_step_()
            optimizer.zero_grad()
        scheduler.step()
    return model


PLAIN: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulated": {"accumulate_grad_batches": 2},
    "clipped": {"gradient_clip_val": 0.1},
    "scaled": {"plugins": "fp16"},
    "scaled-clipped": {"plugins": "fp16", "gradient_clip_val": 0.1, "accumulate_grad_batches": 2},
    "scaled-fused": {"plugins": "fp16", "fused": True},
}


class Fp32Scaled(MixedPrecision):
    """Lightning's steps of fp16 on a CPU, whose convolutions have no fp16: everything but the type."""

    def forward_context(self) -> Any:
        return torch.autocast("cpu", enabled=False)


@pytest.mark.parametrize("kind", ["l1", "proximal"])
@pytest.mark.parametrize("given", PLAIN.values(), ids=PLAIN)
def test_training_is_that_of_a_plain_loop(kind: str, given: dict[str, Any], tmp_path: Path) -> None:
    given = dict(given)
    module = Classifier(fused=given.pop("fused", False))
    if "plugins" in given:
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
        given["plugins"] = Fp32Scaled("16-mixed", "cpu", scaler=scaler)
    slimming = NetworkSlimming("model", kind, strength=0.05)
    fit(module, slimming, tmp_path, **given)
    expected = plain_loop(kind, given.get("accumulate_grad_batches", 1), given.get("gradient_clip_val"))
    for one, other in zip(module.model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert slimming.report is not None
    assert slimming.report.scales == 16


class ByHand(Classifier):
    """Steps by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:  # type: ignore[override]
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(F.cross_entropy(self.model(batch[0]), batch[1]))
        optimizer.step()

    def on_train_epoch_end(self) -> None:
        self.lr_schedulers().step()


def test_manual_optimization(tmp_path: Path) -> None:
    module = ByHand()
    fit(module, NetworkSlimming("model", "l1", strength=0.05), tmp_path)
    for one, other in zip(module.model.parameters(), plain_loop("l1", 1, None).parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


class Nested(Classifier):
    """The network is a part of a part."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"body": network()})

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        return F.cross_entropy(self.model["body"](batch[0]), batch[1])


def test_a_part_of_a_part_by_cost(tmp_path: Path) -> None:
    module, dense = Nested(), netslim.measure(network(), torch.zeros(1, 3, 8, 8)).macs
    slimming = NetworkSlimming(
        "model.body",
        strength=0.01,
        prune_at={1: 0.6},
        budget="target_macs",
        weights="macs",
        example=torch.zeros(1, 3, 8, 8),
    )
    fit(module, slimming, tmp_path)
    macs = netslim.measure(module.model["body"], torch.zeros(1, 3, 8, 8)).macs
    assert macs / dense == pytest.approx(0.6, abs=0.1)


def test_it_is_pruned_on_the_way_and_the_optimizer_goes_on(tmp_path: Path) -> None:
    module = Classifier()
    slimming = NetworkSlimming("model", "proximal", strength=0.01, prune_at={1: 0.2, 2: 0.45})
    trainer = fit(module, slimming, tmp_path, max_epochs=4)
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


class Saving(Callback):
    """Saves at the end of the last epoch."""

    def __init__(self, file: Path, weights_only: bool = False) -> None:
        self.file, self.weights_only = file, weights_only

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.file, weights_only=self.weights_only)


def cut_off(kind: type[Classifier], file: Path, **given: Any) -> Classifier:
    """Two epochs of four, and the file that they leave."""
    module = kind()
    fit(module, [slimming(), Saving(file, **given)], file.parent, max_epochs=2)
    return module


def slimming() -> NetworkSlimming:
    return NetworkSlimming("model", "proximal", strength=0.01, prune_at={1: 0.4})


def test_a_run_from_a_checkpoint_after_a_pruning_ends_as_if_it_had_not_been_cut_off(tmp_path: Path) -> None:
    whole, again = Classifier(), Classifier()
    fit(whole, slimming(), tmp_path, max_epochs=4)
    cut_off(Classifier, tmp_path / "cut.ckpt")
    fit(again, slimming(), tmp_path, ckpt_path=tmp_path / "cut.ckpt", max_epochs=4)
    assert plan_of(again.model) == plan_of(whole.model) is not None
    for one, other in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("weights_only", [False, True])
def test_load_from_checkpoint_after_a_pruning(weights_only: bool, tmp_path: Path) -> None:
    trained = cut_off(Reloading, tmp_path / "cut.ckpt", weights_only=weights_only)
    module = Reloading.load_from_checkpoint(tmp_path / "cut.ckpt", weights_only=True)
    for one, other in zip(module.model.parameters(), trained.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_that_is_written_after_the_fit_says_the_plan_too(tmp_path: Path) -> None:
    """Also after a second fit, which has another callback, and of a copy."""
    module, file = Reloading(), tmp_path / "after.ckpt"
    fit(module, slimming(), tmp_path, max_epochs=2).save_checkpoint(file)
    assert plan_of(Reloading.load_from_checkpoint(file, weights_only=True).model) == plan_of(module.model) is not None
    copied = copy.deepcopy(module)
    fit(copied, NetworkSlimming(strength=0.1), tmp_path, max_epochs=1).save_checkpoint(file)
    again = Reloading.load_from_checkpoint(file, weights_only=True)
    assert plan_of(again.model) == plan_of(module.model)
    assert torch.equal(again.model[0].weight, copied.model[0].weight)
    assert not torch.equal(again.model[0].weight, module.model[0].weight)


def test_a_checkpoint_before_any_pruning_is_as_it_always_was(tmp_path: Path) -> None:
    fit(Classifier(), [NetworkSlimming(strength=0.1), Saving(tmp_path / "whole.ckpt")], tmp_path, max_epochs=1)
    Reloading.load_from_checkpoint(tmp_path / "whole.ckpt", weights_only=True)
    assert "netslim_plans" not in torch.load(tmp_path / "whole.ckpt", weights_only=True)


# What is refused, and what is warned of


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^schedule \(0\.4, 0\.2\): with `budget='percent'` it says what"):
        NetworkSlimming(strength=0.1, prune_at={2: 0.2, 1: 0.4})
    with pytest.raises(UsageError) as error:
        fit(Classifier(), NetworkSlimming("backbone", strength=0.1), tmp_path)
    assert str(error.value) == "network 'backbone': Classifier has no network of this name (it has model)"
    ema = EMAWeightAveraging()
    with pytest.raises(UsageError) as error:
        fit(Classifier(), [NetworkSlimming(strength=0.1, prune_at={1: 0.5}), ema], tmp_path)
    assert str(error.value) == (
        "EMAWeightAveraging keeps a copy of the weights, which a pruning does not cut: leave prune_at out, and prune "
        "between two fits"
    )


def test_two_callbacks_on_one_network(tmp_path: Path) -> None:
    """Lightning says so itself."""
    with pytest.raises(RuntimeError, match=r"^Found more than one stateful callback of type `NetworkSlimming`"):
        fit(Classifier(), [NetworkSlimming(strength=0.1), NetworkSlimming("model", "proximal", strength=0.1)], tmp_path)


def test_the_wrong_time_to_prune(tmp_path: Path) -> None:
    with pytest.warns(NetslimWarning) as found:
        fit(Classifier(), NetworkSlimming(strength=0.1, prune_at={0: 0.2, 3: 0.5}), tmp_path, max_epochs=1)
    assert {"prune_at 0 is before any training with the penalty", "prune_at 3 is never reached: max_epochs is 1"} <= {
        str(warning.message) for warning in found
    }
