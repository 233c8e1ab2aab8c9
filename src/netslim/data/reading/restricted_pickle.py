"""Reading pickles that hold nothing but plain data and byte arrays: nothing in them is called or imported.

A pickle is a program for a small machine. Before it runs, its instructions are counted: some make the machine fill the
memory, or hash for ever, without importing anything.
"""

import io
import pickle
import pickletools
from collections.abc import Callable

import numpy as np

from netslim.core.errors import DataError
from netslim.data.reading.image_file import Pixels

_MOST_INSTRUCTIONS = 1_000_000  # CIFAR-100's training file has about 250,000: two labels and a name per image
_MOST_TUPLES = 20  # an array takes three. The hash of tuples in tuples takes 2**depth steps, or the whole stack
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_UNUSUAL = {"DUP", "POP", "POP_MARK"}  # not needed for plain data, and they would hide tuples from the count


def load_plain(content: bytes, name: str) -> object:
    """What a pickle of plain Python data and NumPy arrays of bytes holds, whatever Python wrote it.

    Args:
        content: the pickle.
        name: of the file, for the message.

    Raises:
        DataError: if it is damaged, asks for anything else to be imported (nothing of it was run then), or would take
            much more time or memory than the file is long.
    """
    try:
        _check_instructions(content)
        return _PlainUnpickler(io.BytesIO(content), name).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(f"{name} is damaged ({_one_line(error)}): delete it to download it again") from error


def _check_instructions(content: bytes) -> None:
    """Raises ValueError for a pickle that is damaged, or is more than some plain data and an array."""
    tuples = _TupleCount()
    for number, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        if number >= _MOST_INSTRUCTIONS:
            raise ValueError(f"more than {_MOST_INSTRUCTIONS:,} instructions")
        if instruction.name in _UNUSUAL:
            raise ValueError(f"instruction {instruction.name}, which plain data has no need of")
        tuples.see(instruction.name, argument)
    if tuples.count > _MOST_TUPLES:
        raise ValueError(f"more than {_MOST_TUPLES} tuples")


class _TupleCount:
    """The tuples of a pickle that can become part of something: all but those that are only the arguments of a call."""

    def __init__(self) -> None:
        self.count = 0
        self._last = ""  # what put the uppermost thing on the stack
        self._memo: dict[int, bool] = {}  # number in the memo -> whether a tuple was put there

    def see(self, name: str, argument: object) -> None:
        """Takes note of the next instruction."""
        if name in _PUTS:
            self._put(argument if isinstance(argument, int) else len(self._memo))
        elif name in _GETS:
            self._last = "TUPLE" if self._memo.get(int(str(argument))) else name
            self.count += 2 * (self._last == "TUPLE")  # as an argument it would be taken off again, but once
        elif name not in ("PROTO", "FRAME"):
            self.count += (name in _TUPLES) - (name == "REDUCE" and self._last in _TUPLES)
            self._last = name

    def _put(self, index: int) -> None:
        if index >= _MOST_INSTRUCTIONS:  # the memo would be made that long
            raise ValueError(f"number {index} in the memo")
        self._memo[index] = self._memo.get(index, False) or self._last in _TUPLES


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file, encoding="latin1")  # CIFAR's files were written by Python 2
        self._name = name

    def find_class(self, module: str, name: str) -> object:
        home = module.replace("numpy._core", "numpy.core")  # where it was until NumPy 2
        stands_for = _stand_ins().get(f"{home}.{name}")
        if stands_for is None:
            asked = _one_line(f"{module}.{name}")
            raise DataError(f"{self._name} wants to run {asked}, which a data file has no need of: refused")
        return stands_for


def _stand_ins() -> dict[str, Callable[..., object] | str]:
    """What a pickle gets for each name that it may ask for: made anew, as it can set attributes of what it is given."""

    def dtype(code: str, align: bool = False, copy: bool = True) -> "np.dtype[np.uint8]":  # noqa: ARG001
        if code != "u1":
            raise ValueError(f"arrays of type {code} instead of bytes")
        return np.dtype("u1", copy=True)  # NumPy's own would be changed by the state that follows

    def empty(*_: object) -> Pixels:
        return np.zeros(0, np.uint8)  # the state that follows has shape and content, and checks one by the other

    def from_buffer(buffer: bytes, _: object, shape: tuple[int, ...], order: str) -> Pixels:
        return np.frombuffer(buffer, np.uint8).reshape(shape, order="F" if order == "F" else "C")

    def encode(text: str, encoding: str) -> bytes:  # how Python 3 writes bytes in the protocols of Python 2
        if encoding != "latin1":
            raise ValueError("text in another encoding than latin1")
        return text.encode("latin1")

    return {
        "numpy.core.multiarray._reconstruct": empty,
        "numpy.core.numeric._frombuffer": from_buffer,
        "numpy.ndarray": "ndarray",  # an argument of `empty`; the class itself could be called
        "numpy.dtype": dtype,
        "_codecs.encode": encode,
    }


def _one_line(text: object) -> str:
    line = " ".join(str(text).split()) or type(text).__name__
    return line if len(line) <= 200 else f"{line[:200]}..."
