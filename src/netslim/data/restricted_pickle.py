"""Reading pickles that hold nothing but plain data and byte arrays: nothing in them is called or imported."""

import io
import pickle

import numpy as np

from netslim.core.errors import DataError

_RECONSTRUCT = np.zeros(0, np.uint8).__reduce__()[0]  # the function itself: its module moved between NumPy versions


def load_plain(content: bytes, name: str) -> object:
    """What a pickle of plain Python data and NumPy arrays of bytes holds.

    Args:
        content: the pickle.
        name: of the file, for the message.

    Raises:
        DataError: if it is damaged, or asks for anything else to be imported. Nothing of it was run then.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content), name).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{name} is damaged ({reason}): delete it to download it again") from error


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file, encoding="latin1")  # CIFAR's files were written by Python 2
        self._name = name

    def find_class(self, module: str, name: str) -> object:
        admitted = {
            ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
            ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): _byte_dtype,
        }
        if (module, name) not in admitted:
            raise DataError(f"{self._name} wants to run {module}.{name}, which a data file has no need of: refused")
        return admitted[module, name]


def _byte_dtype(code: str, align: bool = False, copy: bool = False) -> "np.dtype[np.uint8]":
    """`numpy.dtype` as pickles call it, for bytes alone: an array of Python objects has no place here."""
    if code != "u1":
        raise ValueError(f"arrays of type {code} instead of bytes")
    return np.dtype("u1", align=align, copy=copy)
