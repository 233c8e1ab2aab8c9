"""Data sets of the user's own: any torch data sets of (image, label), from a function that the user names."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from netslim.core.errors import ArgumentError, DataError, NetslimWarning, either, one_of
from netslim.core.networks.example import Inputs
from netslim.core.networks.trees import described
from netslim.core.plugins.references import UserObject, kind, user_code
from netslim.data.own.several_inputs import alike, first_inputs, has_several

PARTS = ("train", "val", "test")
_DIMS = (2, 3, 4)  # of a signal, an image, a volume; with channels


@dataclass(frozen=True, eq=False)
class UserData:
    """What a function of the user's own returns for `--dataset`; a dictionary or tuple of the same will do.

    A data set has `len(...)` and gives (image, label) by index: the image is a float tensor (C, H, W) that is
    normalised already (or a signal (C, L), or a volume or video (C, D, H, W)), and a label whatever the loss takes. All
    images of a batch have one size. In the image's place stand several inputs of the network as a tuple, in the order
    of its arguments, or as a dictionary by their names.

    >>> import torch, netslim
    >>> def noise(seed=1):
    ...     parts = (torch.utils.data.TensorDataset(torch.randn(9, 3, 8, 8), torch.arange(9) % 3) for _ in range(3))
    ...     return netslim.UserData(*parts, class_names=("a", "b", "c"), class_weights=(1, 1, 2))
    >>> len(noise().train), noise().val[4][1]
    (9, tensor(1))

    Attributes:
        train: what is trained on, with its augmentation.
        val: what chooses the model; None: a part of `train`, held out at random.
        test: what is only measured.
        num_classes: what netslim's own architectures need to know; their outputs.
        class_names: in the order of the labels.
        class_weights: a factor per class: of cross_entropy, and of the positives of bce_with_logits.
        collate: makes a batch of a list of (image, label); None: torch's.
    """

    train: Any
    val: Any
    test: Any
    num_classes: int | None = None
    class_names: Sequence[str] | None = None
    class_weights: Any = None
    collate: Callable[[list[Any]], Any] | None = None


@dataclass(frozen=True, eq=False)
class LoadedSplit:
    """A part of a user's data set, of which single samples are asked.

    Attributes:
        dataset: gives (image, label) by index.
        indices: which of its samples, int64 (N,).
    """

    dataset: Any
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, chosen: Tensor | slice) -> LoadedSplit:
        """Some of the samples: by index, by a bool mask, or a slice of them."""
        return LoadedSplit(self.dataset, self.indices[chosen])

    def on(self, device: torch.device | str) -> LoadedSplit:  # noqa: ARG002
        """The same: batches are made on the host."""
        return self


@dataclass(frozen=True, kw_only=True, eq=False)
class UserDataset:
    """A data set of the user's own, opened; the counterpart of `ImageDataset`.

    Attributes:
        name: the reference to the function.
        train, val, test: its parts; `val` is None where some of `train` are to be held out.
        image_shape: of the first image: (C, H, W), or with one side or three; of several inputs nothing.
        inputs: several inputs of a network, as `TensorSpec`s of a batch of one; None: an image.
        label: of the first sample.
        num_classes, class_names, class_weights, collate: see `UserData`.
        workers: processes that load samples.
        sha256: of the file that the function is in.
    """

    name: str
    train: LoadedSplit
    val: LoadedSplit | None
    test: LoadedSplit
    image_shape: tuple[int, ...]
    inputs: Inputs | None = None
    label: Any
    num_classes: int | None
    class_names: tuple[str, ...]
    class_weights: Tensor | None
    collate: Callable[[list[Any]], Any] | None
    workers: int = 0
    sha256: str | None = None

    @property
    def in_channels(self) -> int | None:
        """Channels of an image; None of several inputs."""
        return self.image_shape[0] if self.image_shape else None

    @property
    def image_size(self) -> tuple[int, ...]:
        """Height and width of the first image; the length of a signal; depth, height and width of a volume."""
        return self.image_shape[1:]

    @property
    def has_class_numbers(self) -> bool:
        """Whether a label is one whole number: which class the image is of."""
        if isinstance(self.label, Tensor):
            return self.label.ndim == 0 and not (self.label.is_floating_point() or self.label.dtype == torch.bool)
        return isinstance(self.label, int) and not isinstance(self.label, bool)


def open_user_data(own: UserObject, offered: Mapping[str, Any], workers: int = 0) -> UserDataset:
    """The data set that the user's function gives; a `NetslimWarning` if images to judge by are those of `train`.

    Args:
        own: the function, or the `UserData` itself.
        offered: what it is called with, as far as it has parameters for it: `data_dir`, `image_size`, `seed`.
        workers: processes that load samples.

    Raises:
        ArgumentError: it gives something else.
        DataError: a part has no length, is empty, or gives no (image, label); or what it says of classes is no sense.
        UserCodeError: the user's code raises something.
    """
    if offered.get("image_size") is not None and "image_size" not in own.taken(offered):
        raise ArgumentError("image_size", offered["image_size"], f"{own.reference} has no parameter image_size")
    given = own.call_with(offered) if callable(own.value) else own.value
    data = _user_data(own, given)
    parts = {name: _split(own, name, getattr(data, name)) for name in PARTS}
    train, test = parts["train"], parts["test"]
    if train is None or test is None:
        raise own.wrong(given, "the parts train and test (val may be None: some of train are held out)")
    if data.collate is not None and not callable(data.collate):
        raise DataError(
            f"{own.reference}: collate is {kind(data.collate)}, not a function (samples) -> (images, labels)"
        )
    _warn_of_training_images(own, data)
    image, label = _first_sample(own, "train", train, data.collate)
    for name in ("val", "test"):
        if part := parts[name]:
            _check_alike(own, name, _first_sample(own, name, part, data.collate)[0], image)
    weights = _class_weights(own, data.class_weights)
    names = data.class_names or getattr(data.train, "classes", None) or ()
    return UserDataset(
        name=own.reference,
        train=train,
        val=parts["val"],
        test=test,
        image_shape=() if isinstance(image, Inputs) else tuple(image.shape),
        inputs=image if isinstance(image, Inputs) else None,
        label=label,
        num_classes=_class_count(own, data, weights) or len(names) or None,
        class_names=tuple(map(str, names)),
        class_weights=weights,
        collate=data.collate,
        workers=workers,
        sha256=own.sha256,
    )


def pair(sample: Any, what: str) -> tuple[Any, Any]:
    """A sample, if it is one. Raises DataError."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        found = f"{type(sample).__name__} of {len(sample)}" if isinstance(sample, tuple | list) else kind(sample)
        raise DataError(f"{what} is {found}, not (image, label)")
    return sample[0], sample[1]


def _user_data(own: UserObject, given: Any) -> UserData:
    if isinstance(given, UserData):
        return given
    if isinstance(given, tuple) and len(given) == len(PARTS):
        return UserData(*given)
    known = [field.name for field in dataclasses.fields(UserData)]
    if isinstance(given, Mapping) and {"train", "test"} <= given.keys() <= set(known):
        return UserData(**{"val": None, **given})
    raise own.wrong(given, f"netslim.UserData, (train, val, test), or a dict of some of {one_of(known)}")


def _split(own: UserObject, name: str, dataset: Any) -> LoadedSplit | None:
    if dataset is None:
        return None
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise DataError(f"{own.reference}: {name} is {kind(dataset)}, which has no length and samples")
    with user_code(f"{own.reference}, len({name})"):
        count = len(dataset)
    if not count:
        raise DataError(f"{own.reference}: {name} has no samples")
    return LoadedSplit(dataset, torch.arange(count))


def _warn_of_training_images(own: UserObject, data: UserData) -> None:
    same = [name for name in ("val", "test") if getattr(data, name) is data.train]
    if same:
        said = f"{own.reference}: {' and '.join(same)} {'are' if len(same) > 1 else 'is'} train itself"
        warnings.warn(f"{said}: accuracy on {either(same)} is that on training images", NetslimWarning, stacklevel=3)


def _first_sample(
    own: UserObject, name: str, split: LoadedSplit, collate: Callable[[list[Any]], Any] | None
) -> tuple[Tensor | Inputs, Any]:
    """Its image, or what its inputs are like, and its label."""
    with user_code(f"{own.reference}, {name}[0]"):
        sample = split.dataset[0]
    image, label = pair(sample, f"{own.reference}: {name}[0]")
    if has_several(image):
        image = first_inputs(sample, collate, f"{own.reference}: {name}[0]")
    if isinstance(image, Inputs):
        return image, label
    if not (isinstance(image, Tensor) and image.is_floating_point() and image.ndim in _DIMS):
        found = f"{image.dtype} {tuple(image.shape)}" if isinstance(image, Tensor) else kind(image)
        raise DataError(
            f"{own.reference}: the image of {name}[0] is {found}, not a float tensor (C, H, W), nor (C, L) or "
            f"(C, D, H, W), nor a tuple or dictionary of several inputs"
        )
    return image, label


def _check_alike(own: UserObject, name: str, image: Tensor | Inputs, first: Tensor | Inputs) -> None:
    if isinstance(image, Tensor) and isinstance(first, Tensor):
        if len(image) != len(first):
            raise DataError(
                f"{own.reference}: the image of {name}[0] has {len(image)} channels, that of train[0] {len(first)}"
            )
    elif isinstance(image, Tensor) or isinstance(first, Tensor) or not alike(image, first):
        raise DataError(
            f"{own.reference}: the inputs of {name}[0] are {described(image)}, those of train[0] {described(first)}"
        )


def _class_weights(own: UserObject, given: Any) -> Tensor | None:
    if given is None:
        return None
    try:
        weights = torch.as_tensor(given, dtype=torch.float32).cpu()
    except (TypeError, ValueError, RuntimeError):
        weights = torch.tensor([-1.0])
    if not (weights.ndim and weights.isfinite().all() and (weights >= 0).all() and weights.any()):
        raise DataError(f"{own.reference}: class_weights {given!r}: give a number per class, not negative, not all 0")
    return weights


def _class_count(own: UserObject, data: UserData, weights: Tensor | None) -> int | None:
    """The number of classes that num_classes, class_names and class_weights agree on."""
    number, names = data.num_classes, data.class_names
    if number is not None and (not isinstance(number, int) or number < 1):
        raise DataError(f"{own.reference}: num_classes {number!r}: give a whole number above 0")
    if names is not None and (isinstance(names, str) or not hasattr(names, "__len__")):
        raise DataError(f"{own.reference}: class_names {names!r}: give a list of names")
    lengths = {"class_names": names, "class_weights": weights}
    counts = {"num_classes": number, **{name: len(some) for name, some in lengths.items() if some is not None}}
    known = {name: count for name, count in counts.items() if count is not None}
    if len({*known.values()}) > 1:
        said = ", ".join(f"{name} {count}" for name, count in known.items())
        raise DataError(f"{own.reference}: it says different numbers of classes: {said}")
    return max(known.values(), default=None)
