"""`netslim export --int8 --qat EPOCHS`: fine-tuned with rounded numbers where int8 alone loses more than allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from netslim.core.files import put_in_place, temporary_folder
from netslim.data import train_batches
from netslim.deploy import Exported
from netslim.deploy.int8.processor import integers
from netslim.deploy.int8.request import NothingInInt8Error, Quantized
from netslim.deploy.int8.tuning import tuned
from netslim.report.console import say
from netslim.stages.export.config import ExportConfig
from netslim.stages.export.int8 import Asked
from netslim.stages.shared.config import SEED

BATCH_SIZE = 64
Write = Callable[..., Exported]


def written_with_qat(model: nn.Module, output: Path, asked: Asked, config: ExportConfig, write: Write) -> Exported:
    """Writes the network in int8; fine-tuned first, where that keeps more layers out of float.

    Args:
        model: the trained network, in evaluation mode; left unchanged.
        output: the file.
        asked: images and judge.
        config: epochs.
        write: `netslim.export` with all but a network, its path and its numbers.

    Raises:
        NothingInInt8Error: neither does it as it is, nor fine-tuned.
    """
    try:
        found, before = write(model, path=output, numbers=asked.quantization), None
    except NothingInInt8Error as error:
        found, before = None, error
    if found and found.int8 and not found.int8.layers_float:
        say("int8 alone loses no more than allowed: not fine-tuned")
        return found
    student = _student(model, asked, config.qat)
    with temporary_folder(output.with_stem(f"{output.stem}-rounded")) as folder:
        aside = folder / output.name
        if better := _better(write, student, aside, model, asked, found):
            with put_in_place(output) as temporary:
                aside.rename(temporary)
            return replace(better, path=output)
    if not found:
        assert before  # noqa: S101  (one of both is there)
        raise before
    say("fine-tuning with rounded numbers did not help: the network is written as it was")
    return found


def _student(model: nn.Module, asked: Asked, epochs: int) -> nn.Module:
    dataset, quantization = asked.dataset, asked.quantization
    batches = train_batches(dataset.train, dataset, batch_size=BATCH_SIZE, seed=SEED, device="cpu")

    def images() -> Iterator[Tensor]:
        for epoch in range(epochs):
            for batch, _ in batches.epoch(epoch):
                yield batch

    return tuned(
        model,
        images(),
        epochs * len(batches),
        images=quantization.images,
        kinds=integers(),
        progress=quantization.progress,
    )


def _better(
    write: Write, student: nn.Module, path: Path, model: nn.Module, asked: Asked, found: Exported | None
) -> Exported | None:
    """The fine-tuned network, written, if int8 of it is worth more; what it may lose counts from the network itself."""
    judge, quantization = asked.quantization.judge, asked.quantization
    worth = judge(model), judge(student)
    allowed = quantization.allowed + worth[1] - worth[0]
    try:
        again = write(student, path=path, numbers=replace(quantization, allowed=allowed))
    except NothingInInt8Error:
        return None
    int8, earlier = again.int8, found.int8 if found else None
    if not int8 or not int8.written or (earlier and _worth(int8) <= _worth(earlier)):
        return None
    lost = len(earlier.layers_float) if earlier else "all"
    left = f"{len(int8.layers_float)} of {int8.layers} layers"
    say(f"fine-tuned with rounded numbers: in float stay {left}, not {lost}")
    test = quantization.test(model) if quantization.test else None
    return replace(again, int8=replace(int8, judged_float=worth[0], test_float=test))


def _worth(int8: Quantized) -> tuple[int, float]:
    return -len(int8.layers_float), int8.judged_int8
