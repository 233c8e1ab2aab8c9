"""A target whose files lie in a folder beside their `config.json`, and are run by a run time of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, fx, nn

from netslim.core.safetensors_folder import CONFIG, check_hashes, read_facts, write_files
from netslim.deploy.quiet import quiet
from netslim.deploy.signature import Example, ExportInputs, FlatNetwork
from netslim.deploy.target import Bundle, Run, Runnable, Target, input_of

Infer = Callable[..., Any]  # the tensors of the inputs, in their order, to those of the outputs


class FolderTarget(Target):
    """What such targets have in common; each has one engine, of its own name."""

    def files(self, network: nn.Module, example: Example) -> dict[str, bytes]:
        """The network's files by name."""
        raise NotImplementedError

    def function(self, folder: Path, threads: int) -> Infer:
        """What runs the files of a folder."""
        raise NotImplementedError

    def check(self, name: str) -> None:
        """Raises UsageError if a package is missing."""
        with quiet():
            super().check(name)

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """The engine on as many threads as torch has."""
        folder = TemporaryDirectory(prefix="netslim-")
        for name, content in self.files(network, example).items():
            (Path(folder.name) / name).write_bytes(content)
        run = self.function(Path(folder.name), torch.get_num_threads())

        def call() -> object:
            assert folder.name  # noqa: S101  (kept as long as what may read it again)
            return run(example)

        return call

    def write(self, bundle: Bundle, path: Path) -> None:
        """The files, and the facts with their hashes."""
        write_files(path, self.files(bundle.network, bundle.example), bundle.facts)

    def open(self, bundle: Bundle, path: Path) -> Run:  # noqa: ARG002
        """Runs the files."""
        check_hashes(path, read_facts(path / CONFIG))
        run = self.function(path, torch.get_num_threads())
        return lambda *args, **kwargs: run(*ExportInputs(args, kwargs).tensors)

    def recognises(self, path: Path, facts: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether the facts of a folder say so."""
        return facts.get("target") == self.engines[0]

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:
        """The engine; the folder's facts say the rest."""
        self.check(self.engines[0])
        check_hashes(path, facts)

        def start(_: str, images: Tensor, threads: int) -> Callable[[], object]:
            run = self.function(path, threads)
            return lambda: run(images)

        return Runnable(start=start, **input_of(facts))


def for_one_image(network: nn.Module, example: Example) -> tuple[FlatNetwork, tuple[Tensor, ...]]:
    """A network of flat inputs and outputs, and such inputs, with a batch of one.

    Run times on phones plan their memory for fixed sizes.
    """
    given = ExportInputs.of(example)
    one = given.map(lambda leaf: leaf[:1].cpu() if given.batched(leaf) else leaf.cpu())
    return FlatNetwork(network, one).eval(), tuple(one.tensors)


def in_turn(run: Infer) -> Infer:
    """What runs a batch, of what runs one image: one after the other."""

    def run_all(*inputs: Tensor) -> list[Tensor]:
        given = ExportInputs(inputs, {})
        rows = [
            run(*(leaf[row : row + 1] if given.batched(leaf) else leaf for leaf in inputs))
            for row in range(given.batch)
        ]
        return [torch.cat(parts) for parts in zip(*rows, strict=True)]

    return run_all
