"""What a verb found out beside what the run folders say, by running the networks: all of it may be missing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image that the large network gets right and the small one wrong.

    Attributes:
        number: its place in the data set.
        png: the image file.
        truth, small, large: names of the right class and of the ones that the networks say.
        small_share, large_share: what each gives its own answer, 0 to 1.
    """

    number: int
    png: bytes
    truth: str
    small: str
    large: str
    small_share: float
    large_share: float


@dataclass(frozen=True, kw_only=True)
class Images:
    """Both networks on the same images.

    Attributes:
        dataset, count: which images, and how many.
        class_names: in order.
        confusion: row: the right class; column: what the small network says; counts.
        small_right, large_right: images that each gets right.
        only_large, only_small: images that one gets right and the other wrong.
        examples: some of `only_large`.
        large: what the large network is, in a few words.
    """

    dataset: str
    count: int
    class_names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    small_right: int
    large_right: int
    only_large: int
    only_small: int
    examples: tuple[Example, ...]
    large: str = "the network before pruning"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Median seconds of a batch of both networks, measured in turns on one machine.

    `noisy`: calls of one of them differed so much from each other that the median says little.
    """

    engine: str
    threads: int
    batch: int
    before: float | None
    after: float
    hardware: str
    source: str
    noisy: bool = False


@dataclass(frozen=True, kw_only=True)
class HashCheck:
    """Whether a file that a run went on from is still the one that it recorded; None: the file is gone."""

    path: str
    sha256: str
    same: bool | None


@dataclass(frozen=True, kw_only=True)
class Transferred:
    """What the first run's network came from.

    Attributes:
        source: library and model.
        strategy: how its weights were brought over.
        coverage: share of the learnable parameters that came from it, 0 to 1.
        layers: (layers, what was done, number of tensors), in the order of the network.
        images: that BatchNorm statistics were measured on.
        command: that does it again; empty where it is not known.
    """

    source: str
    strategy: str
    coverage: float
    layers: tuple[tuple[str, str, int], ...]
    images: int
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All of it.

    Attributes:
        images: or `no_images`, why not.
        speeds: rows of a benchmark of both networks.
        hashes: of the files between the runs.
        transferred: where the first run's network came from, if it is a transfer's.
        sizes: bytes of the large and of the small network's file.
        bench: the command that measures the speed.
        fuller: the command that computes all of this; empty on the page that it has written.
    """

    images: Images | None = None
    no_images: str = ""
    speeds: tuple[Speed, ...] = ()
    hashes: tuple[HashCheck, ...] = ()
    transferred: Transferred | None = None
    sizes: tuple[int, int] | None = None
    fuller: str = ""
    bench: str = ""
