"""The operations that write, in one place: tests put others in their stead, which fail."""

import os
import shutil
from pathlib import Path
from typing import IO


class Disk:
    """What the file system is asked for. Every method raises OSError."""

    def open(self, path: Path, mode: str = "wb") -> IO[bytes]:
        """A file to write to, without a buffer of its own."""
        return path.open(mode, buffering=0)

    def write(self, stream: IO[bytes], data: bytes) -> None:
        """All of `data`."""
        view = memoryview(data)
        while view:
            view = view[stream.write(view) :]

    def sync(self, descriptor: int) -> None:
        """Waits until what was written is on the disk."""
        os.fsync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Puts `old` in the place of `new`."""
        old.replace(new)

    def make_folder(self, path: Path) -> None:
        """Makes a folder and those above it."""
        path.mkdir(parents=True, exist_ok=True)

    def remove(self, path: Path) -> None:
        """Removes a file, or a folder with what is in it."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


DISK = Disk()
