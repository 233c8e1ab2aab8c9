"""What a torch pickle says of storages and tensors, held against the file before torch makes any of them.

The pickle is gone through with stand-ins for everything that it names: nothing is imported, called or allocated.
`torch.load(weights_only=True)` trusts the sizes that it finds; here they are compared with the bytes that are there.
"""

import math
import pickle
import re
from collections.abc import Callable, Mapping
from typing import IO, Any

from netslim.core.errors import CheckpointError

# What torch.load(weights_only=True) knows and a file of tensors, numbers and containers can name.
_KNOWN = re.compile(
    r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch(\.cuda)?\.\w+(Storage|Tensor)"
    r"|torch\.storage\.\w+Storage|torch\.(Size|device|Tensor|serialization\._get_layout|nn\.parameter\.Parameter)"
    r"|torch\.[a-z]\w+|collections\.(OrderedDict|Counter)|(builtins|__builtin__)\.(set|complex|bytearray)"
    r"|_codecs\.encode"
)
_BYTES = dict.fromkeys(("Untyped", "Byte", "Char", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1)
_BYTES |= dict.fromkeys(("Short", "Half", "BFloat16"), 2) | dict.fromkeys(("Int", "Float", "QInt32"), 4)
_BYTES |= dict.fromkeys(("Long", "Double", "ComplexFloat"), 8) | {"ComplexDouble": 16}  # per number of a ...Storage
_ALLOCATING = ("builtins.bytearray", "torch.storage.UntypedStorage", "torch.storage.TypedStorage")


class _Made:
    """Stands for an object that the pickle makes; takes what is put into it, and keeps nothing."""

    def __setitem__(self, key: object, value: object) -> None: ...
    def __setstate__(self, state: object) -> None: ...
    def append(self, item: object) -> None: ...
    def extend(self, items: object) -> None: ...
    def add(self, item: object) -> None: ...


class _Storage(_Made):
    def __init__(self, length: int) -> None:
        self.length = length


class _Named:
    """Stands for a global of the pickle."""

    def __init__(self, name: str, called: Callable[[str, tuple[Any, ...]], object]) -> None:
        self.name = name
        self._called = called

    def __call__(self, *arguments: Any) -> object:
        return self._called(self.name, arguments)


class Claims(pickle.Unpickler):
    """Goes through one pickle of a torch file.

    Args:
        stream: at the pickle's start.
        room: bytes that a storage of this key has at most.
    """

    def __init__(self, stream: IO[bytes], room: Callable[[str], int]) -> None:
        super().__init__(stream)
        self._room = room

    def check(self) -> None:
        """Goes through it.

        Raises:
            CheckpointError: a storage or a tensor is larger than what the file has of it.
            Exception: it is no pickle, or one of objects that only code could make.
        """
        self.load()

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in. Raises CheckpointError for code."""
        if not _KNOWN.fullmatch(f"{module}.{name}"):
            raise CheckpointError(f"it holds pickled code ({module}.{name}), which is never run")
        return _Named(f"{module}.{name}", self._called)

    def persistent_load(self, pid: Any) -> Any:
        """A stand-in for a storage, after its size was held against the file's."""
        kind, key, length = pid[1], pid[2], pid[4]
        if not isinstance(length, int) or not isinstance(key, str) or length < 0:
            raise CheckpointError("a storage has no size")
        size = length * _item_size(kind)
        if size > self._room(key):
            raise CheckpointError(f"storage {key} should have {size:,} bytes and has {self._room(key):,}")
        return _Storage(length)

    def _called(self, name: str, arguments: tuple[Any, ...]) -> object:
        if name in _ALLOCATING or name.endswith("Tensor"):
            raise CheckpointError(f"it makes a {name} of any size")
        if name.startswith(("torch._utils._rebuild_tensor", "torch._utils._rebuild_qtensor")):
            _check_extent(*arguments[:4])
        return _Made()


def check_pickle(stream: IO[bytes], sizes: Mapping[str, int]) -> None:
    """Checks the `data.pkl` of a zip archive; `sizes` are the bytes of its storages by key. See `Claims.check`."""
    Claims(stream, lambda key: sizes.get(key, -1)).check()


def check_legacy(stream: IO[bytes], size: int) -> None:
    """Checks the pickles of a file from before torch 1.6, of `size` bytes. See `Claims.check`."""
    for _ in ("magic number", "protocol", "system", "data"):
        Claims(stream, lambda _: size).check()


def _item_size(kind: Any) -> int:
    name = getattr(kind, "name", "").rpartition(".")[2].removesuffix("Storage")
    if name not in _BYTES:
        raise CheckpointError("a storage is of no type that torch has")
    return _BYTES[name]


def _check_extent(storage: Any, offset: Any, shape: Any, strides: Any) -> None:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise CheckpointError("a tensor has no shape")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= storage.length:
        raise CheckpointError(f"a tensor of shape {tuple(shape)} is larger than its storage")
