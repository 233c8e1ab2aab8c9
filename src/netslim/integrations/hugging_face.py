"""Network slimming in the `Trainer` of Hugging Face's transformers: the penalty."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from netslim.core.errors import UsageError
from netslim.integrations.missing import MissingLibraryError
from netslim.own_loop.penalty import penalty
from netslim.training.penalties import ScalePenalty, ScaleReport, check_settings

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as error:
    raise MissingLibraryError("transformers") from error


class TrainerSlimming(TrainerCallback):  # type: ignore[misc]
    """Trains a network with a penalty on its scales in `Trainer`; what it leaves is pruned after the training.

        slimming = TrainerSlimming("proximal", strength=1e-4)
        Trainer(model, arguments, train_dataset=data, callbacks=[slimming], optimizers=(optimizer, None)).train()
        print(slimming.report)
        small = netslim.apply(model, netslim.plan(model, example, target_macs=0.5))

    The penalty goes along with the optimizer's step (`ScalePenalty.attach_`), whatever is accumulated, scaled or
    clipped before. Fine-tune `small` with another `Trainer`, which may go on with
    `netslim.carry(optimizer, model, small)`.

    Args:
        name, strength, **options: of the penalty; see `netslim.penalty`.

    Attributes:
        report: on the scales, after the last epoch.

    Raises:
        UsageError: at the beginning of the training: see `netslim.penalty`; or the optimizer has none of the scales, as
            where FSDP or DeepSpeed keep parameters of their own.
    """

    def __init__(self, name: str = "l1", *, strength: float, **options: Any) -> None:
        check_settings(name, strength, {key: value for key, value in options.items() if key != "example"})
        self.report: ScaleReport | None = None
        self._make: Callable[..., ScalePenalty] = partial(penalty, name=name, strength=strength, **options)
        self._penalty: ScalePenalty | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module | None = None,
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        """Makes the penalty."""
        if model is None or optimizer is None:
            raise UsageError("the trainer names no model and no optimizer at the beginning of the training")
        self._penalty = self._make(model, optimizer=getattr(optimizer, "optimizer", optimizer)).attach_()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tells the penalty where the training stands."""
        if self._penalty is not None:
            epochs = max(state.num_train_epochs, 1)
            self._penalty.advance(done=state.global_step / max(state.max_steps, 1) * epochs, epochs=epochs)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Reports on the scales."""
        if self._penalty is not None:
            self.report = self._penalty.report()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ends the penalty."""
        if self._penalty is not None:
            self._penalty.remove()
            self._penalty = None
