"""The zip archive of a torch file, held against what `torch.save` writes before anything in it is read.

Two readers of one zip file can see two files: an entry that is there twice, entries that lie over each other, a comment
that looks like a directory. Whatever could be read in two ways is refused.
"""

import zipfile
from pathlib import Path, PurePosixPath

from netslim.core.errors import CheckpointError

LARGEST_PICKLE = 64 * 2**20  # bytes of `data.pkl`, which says what is where; the numbers themselves lie beside it
MOST_ENTRIES = 1_000_000
_FOLDER = 0x10  # attribute of a zip entry that no checksum covers; torch fills its tensor with uninitialised memory
_HEADER, _END = 30, 22  # bytes of a local header without its name, and of the record that ends an archive


def is_torch_zip(path: Path) -> bool:
    """Whether torch would read the file as a zip archive. Raises CheckpointError for one that is cut off."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start[:2] != b"PK":
        return False
    if start != b"PK\x03\x04" or not zipfile.is_zipfile(path):  # torch before 1.6 wrote no zip
        raise CheckpointError(f"{path} is damaged: the archive is cut off")
    return True


def checked_entries(path: Path) -> dict[str, int]:
    """Bytes of each entry by name, after all checksums have been found right.

    Raises:
        CheckpointError: a checksum is wrong, or the archive is none that `torch.save` writes.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _check_end(path, archive)
        _check_names(path, entries)
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise CheckpointError(f"{path} was refused: torch archives are not compressed")
            if entry.external_attr & _FOLDER and entry.file_size:
                raise CheckpointError(f"{path} is damaged: a file in the archive is marked as a folder")
            if entry.filename.endswith("/data.pkl") and entry.file_size > LARGEST_PICKLE:
                raise CheckpointError(
                    f"{path} was refused: its {entry.filename} has {entry.file_size:,} bytes, "
                    f"more than {LARGEST_PICKLE:,}"
                )
        _check_places(path, entries, archive.start_dir)
        bad = archive.testzip()
    if bad is not None:
        raise CheckpointError(f"{path} is damaged: the checksum of {bad} is wrong")
    return {entry.filename: entry.file_size for entry in entries}


def _check_end(path: Path, archive: zipfile.ZipFile) -> None:
    with path.open("rb") as stream:
        stream.seek(-_END, 2)
        end = stream.read(4)
    if archive.comment or end != b"PK\x05\x06":
        raise CheckpointError(f"{path} was refused: bytes follow the end of the archive")


def _check_names(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise CheckpointError(f"{path} was refused: it has {len(entries):,} entries, more than {MOST_ENTRIES:,}")
    names: set[str] = set()
    for entry in entries:
        name = entry.filename
        if name.lower() in names:
            raise CheckpointError(f"{path} was refused: the archive has two entries of the name {name}")
        if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
            raise CheckpointError(f"{path} was refused: the archive has an entry of the name {name!r}")
        names.add(name.lower())


def _check_places(path: Path, entries: list[zipfile.ZipInfo], directory: int) -> None:
    """Every entry has its own bytes, one after the other from the start of the file to the directory."""
    free = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < free or (free == 0 and entry.header_offset):
            raise CheckpointError(f"{path} was refused: entries of the archive lie over each other")
        free = entry.header_offset + _HEADER + len(entry.filename.encode()) + entry.file_size
    if free > directory:
        raise CheckpointError(f"{path} was refused: entries of the archive lie over each other")
