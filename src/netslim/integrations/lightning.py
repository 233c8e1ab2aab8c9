"""Network slimming in Lightning: the penalty, pruning at given epochs, and checkpoints that say the plan."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from torch import nn
from torch.optim import Optimizer

from netslim.core.errors import NetslimWarning, UsageError, one_of
from netslim.core.networks.scale_norms import scale_norms
from netslim.core.networks.wrappers import unwrapped
from netslim.core.protocols import plan_of
from netslim.integrations.missing import MissingLibraryError
from netslim.own_loop.penalty import penalty
from netslim.own_loop.repair import Repair, inputs_in, repair_
from netslim.own_loop.rounds import check_schedule, prune_to
from netslim.pruning import apply, carry_, plan_from_dict, trains
from netslim.pruning.apply import rebuild
from netslim.training.penalties import ScalePenalty, ScaleReport, check_settings

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
    from lightning.pytorch.strategies import DDPStrategy
except ImportError as error:
    raise MissingLibraryError("lightning") from error

PLANS = "netslim_plans"  # in a checkpoint: by the network's name, its plan


class NetworkSlimming(Callback):  # type: ignore[misc]
    """Trains a part of a LightningModule with a penalty on its scales, and prunes it on the way.

    The penalty goes along with the optimizer's step (`ScalePenalty.attach_`), so that precision plugins, accumulation,
    clipping and manual optimization leave it as it is. It ends with the last pruning. Pruning replaces the module's
    attribute, puts right what it broke, and carries the optimizers' state over; schedulers go on. Of several processes
    (strategy `ddp`) all follow the plan of the first. A checkpoint says the plan, and a fit, test or prediction from it
    rebuilds the pruned network first; see `rebuild_` for `load_from_checkpoint`.

        Trainer(callbacks=[NetworkSlimming("model", "proximal", strength=1e-4, prune_at={20: 0.3, 30: 0.5})])

    Args:
        network: name of the module's part that is slimmed (`model`, `detector.backbone`).
        name, strength, **options: of the penalty; see `netslim.penalty`. Warm-up and schedule are over the epochs until
            the last pruning, or else until the end of the training (`max_epochs` or `max_steps`; without one, a
            schedule does not fall).
        prune_at: by the number of an epoch (from 0), the share that is asked for at its start: of the original
            network's channels that are gone after it, or of its parameters or MACs that are left, as for
            `netslim.iterative`.
        budget: `percent`, `target_params` or `target_macs`.
        settings: of `netslim.plan`.
        batches: gives batches for `netslim.repair_`, and an example, where the network's inputs are not those of the
            training data. None: batches of training data.
        most: how many of them count.

    Attributes:
        report: on the scales, after the last epoch of training with the penalty.
        repairs: what was put right after each pruning.

    Raises:
        UsageError: the shares do not go one way, the module has no such network, its optimizers have none of its
            scales, several processes train it in another way than `ddp` while it is pruned, or another callback keeps
            a copy of its weights.
    """

    def __init__(
        self,
        network: str = "model",
        name: str = "l1",
        *,
        strength: float,
        prune_at: Mapping[int, float] | None = None,
        budget: str = "percent",
        settings: Mapping[str, Any] | None = None,
        batches: Callable[[], Iterable[Any]] | None = None,
        most: int = 50,
        **options: Any,
    ) -> None:
        check_settings(name, strength, {key: value for key, value in options.items() if key != "example"})
        self.network = _name(network)
        self.prune_at = _epochs(prune_at)
        if self.prune_at:
            check_schedule([*self.prune_at.values()], budget)
        self.report: ScaleReport | None = None
        self.repairs: list[Repair] = []
        self._budget, self._settings, self._most, self._batches = budget, dict(settings or {}), most, batches
        self._make: Callable[..., ScalePenalty] = partial(penalty, name=name, strength=strength, **options)
        self._penalty: ScalePenalty | None = None
        self._pruned: list[int] = []

    @property
    def state_key(self) -> str:
        """One for each network of a module."""
        return str(self._generate_state_key(network=self.network))

    def state_dict(self) -> dict[str, Any]:
        """Which prunings are done; the plan is the module's."""
        return {"pruned": list(self._pruned)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self._pruned = list(state_dict["pruned"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Checks what can be checked; from here on the module's checkpoints say its plans, also after the fit."""
        _network(pl_module, self.network)
        if stage == "fit" and self.prune_at:
            self._check(trainer)
        if getattr(pl_module.on_save_checkpoint, "func", None) is not _save:
            pl_module.on_save_checkpoint = partial(_save, pl_module, pl_module.on_save_checkpoint)
            pl_module.on_load_checkpoint = partial(_load, pl_module, pl_module.on_load_checkpoint)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ends the penalty."""
        self._end()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Makes the penalty, before the last pruning."""
        if self._penalty is None and (not self.prune_at or trainer.current_epoch < max(self.prune_at)):
            network = _network(pl_module, self.network)
            self._penalty = self._make(network, optimizer=_trains(network, trainer.optimizers)).attach_()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prunes, where it is time."""
        epoch = trainer.current_epoch
        if epoch in self.prune_at and epoch not in self._pruned:
            self._prune(trainer, pl_module, self.prune_at[epoch])
            self._pruned.append(epoch)
        self.on_train_start(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Tells the penalty where the training stands."""
        if self._penalty is not None:
            done, epochs = _progress(trainer, batch_idx, max(self.prune_at, default=0))
            self._penalty.advance(done=done, epochs=epochs)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports on the scales."""
        if self._penalty is not None:
            self.report = self._penalty.report()
            pl_module.log("scales_near_zero", self.report.near_zero)
            pl_module.log("scales_separation", self.report.separation)

    def _check(self, trainer: Trainer) -> None:
        if trainer.world_size > 1:
            _check_strategy(trainer.strategy)
        for callback in trainer.callbacks:
            if isinstance(callback, WeightAveraging | StochasticWeightAveraging):
                raise UsageError(
                    f"{type(callback).__name__} keeps a copy of the weights, which a pruning does not cut: leave "
                    f"prune_at out, and prune between two fits"
                )
        if 0 in self.prune_at:
            warnings.warn("prune_at 0 is before any training with the penalty", NetslimWarning, stacklevel=2)
        most = trainer.max_epochs or -1
        late = [str(epoch) for epoch in self.prune_at if 0 < most <= epoch]
        if late:
            what = f"prune_at {one_of(late)} is never reached: max_epochs is {most}"
            warnings.warn(what, NetslimWarning, stacklevel=2)

    def _prune(self, trainer: Trainer, pl_module: LightningModule, share: float) -> None:
        self._end()
        network = unwrapped(_network(pl_module, self.network))
        batches = self._batches or (lambda: trainer.train_dataloader)
        example = next(inputs_in(network, batches()))
        small, plan, _ = prune_to(network, example, share, self._budget, **self._settings)
        if trainer.world_size > 1 and (first := trainer.strategy.broadcast(plan.to_dict())) != plan.to_dict():
            small = apply(network, plan_from_dict(first))  # what a criterion looks at is other data in each process
        self.repairs.append(repair_(small, network, islice(batches(), self._most)))
        for optimizer in trainer.optimizers:
            if trains(optimizer, network):
                carry_(optimizer, network, small)
        _set(pl_module, self.network, small)
        if isinstance(trainer.strategy, DDPStrategy):  # which wraps the module of one process, too
            _wrap_again_(trainer.strategy, pl_module)

    def _end(self) -> None:
        if self._penalty is not None:
            self._penalty.remove()
            self._penalty = None


def rebuild_(module: LightningModule, checkpoint: Mapping[str, Any]) -> None:
    """Prunes the new networks of a module as those were that a checkpoint is of, so that its weights fit.

    For `load_from_checkpoint`, where no callback is asked:

        class Classifier(LightningModule):
            def on_load_checkpoint(self, checkpoint):
                netslim.integrations.rebuild_(self, checkpoint)

    Args:
        module: whose networks are as they are made; those that are pruned so already are left alone.
        checkpoint: of a module that `NetworkSlimming` has pruned, or any other.

    Raises:
        UsageError: a plan is for another network.
    """
    for name, data in checkpoint.get(PLANS, {}).items():
        network, plan = _network(module, name), plan_from_dict(data)
        if plan_of(unwrapped(network)) != plan:
            _set(module, name, rebuild(unwrapped(network), plan))


def _progress(trainer: Trainer, batch: int, until: int) -> tuple[float, int]:
    """The epochs that are done before a batch, and all: those until a pruning, or those that the trainer allows."""
    batches = max(1.0, float(trainer.num_training_batches))
    done = trainer.current_epoch + batch / batches
    epochs = until or (trainer.max_epochs if trainer.max_epochs > 0 else sys.maxsize)
    by_steps = max(1, math.ceil(trainer.max_steps * trainer.accumulate_grad_batches / batches))
    if until or trainer.max_steps < 0 or by_steps > epochs:
        return done, epochs
    return trainer.global_step / trainer.max_steps * by_steps, by_steps  # whatever a step is, they end at the same time


def _save(module: LightningModule, saved: Callable[[dict[str, Any]], None], checkpoint: Any) -> None:
    plans = {name: plan.to_dict() for name, part in module.named_modules() if (plan := plan_of(part))}
    if plans:
        checkpoint[PLANS] = plans
    saved(checkpoint)


def _load(module: LightningModule, loaded: Callable[[dict[str, Any]], None], checkpoint: Any) -> None:
    rebuild_(module, checkpoint)
    loaded(checkpoint)


def _name(network: object) -> str:
    if not isinstance(network, str):
        raise UsageError(f"network of type {type(network).__name__}: give the name of the module's part, like 'model'")
    return network


def _epochs(prune_at: Mapping[int, float] | None) -> dict[int, float]:
    """When to prune, in order."""
    given = {} if prune_at is None else prune_at
    if not isinstance(given, Mapping) or not all(isinstance(epoch, int) and epoch >= 0 for epoch in given):
        raise UsageError(f"prune_at {prune_at!r}: give a share for each number of an epoch, like {{20: 0.3, 30: 0.5}}")
    return dict(sorted(given.items()))


def _network(module: LightningModule, name: str) -> nn.Module:
    try:
        network: nn.Module = module.get_submodule(name or "?")  # not the module itself: a part of it is replaced
    except AttributeError as error:
        known = one_of(child for child, _ in module.named_children()) or "no part"
        what = f"network '{name}': {type(module).__name__} has no network of this name (it has {known})"
        raise UsageError(what) from error
    return network


def _set(module: LightningModule, name: str, network: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, network)


def _check_strategy(strategy: Any) -> None:
    """Raises UsageError for what can't hand on a network of other shapes than it began with."""
    how = getattr(strategy, "_start_method", "popen")
    if not isinstance(strategy, DDPStrategy):
        what = f"pruning on the way can't be done under {type(strategy).__name__}"
    elif how != "popen":  # the process that called `fit` would get weights of other shapes back
        what = f"pruning on the way can't be done in processes that are started by {how}"
    else:
        return
    raise UsageError(
        f"{what}: type Trainer(strategy='ddp'), or leave prune_at out, and prune between two fits with netslim.plan, "
        f"apply and repair_"
    )


def _wrap_again_(strategy: DDPStrategy, module: LightningModule) -> None:
    """Around the module that has other parameters now; its buffers become those of the first process."""
    strategy.model = module  # frees the wrapper that has its hooks on the old parameters
    strategy.configure_ddp()


def _trains(network: nn.Module, optimizers: list[Optimizer]) -> Optimizer:
    """The optimizer that has the network's scales, or the first one."""
    scales = {id(norm.weight) for norm in scale_norms(unwrapped(network)).values()}
    with_scales = (
        optimizer
        for optimizer in optimizers
        if any(id(parameter) in scales for group in optimizer.param_groups for parameter in group["params"])
    )
    return next(with_scales, optimizers[0])
