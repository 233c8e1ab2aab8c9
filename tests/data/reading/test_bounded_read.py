import gzip
import io
import os
from pathlib import Path

import pytest

from fresh_python import FreshPython
from netslim.core.errors import DataError
from netslim.data.reading.bounded_read import BoundedReader, read_file, unpacked


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_up_to_the_bound_and_not_beyond(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    content = bytes(2_000_000)
    path.write_bytes(gzip.compress(content, mtime=0) if suffix else content)
    assert read_file(path, 2_000_000) == content
    with pytest.raises(DataError) as caught:
        read_file(path, 1_999_999)
    assert str(caught.value) == (
        f"{path} holds more than 1 MB, and the published file does not: delete it to download it again"
    )


def test_the_bound_is_for_all_reads_together() -> None:
    reader = BoundedReader(io.BytesIO(b"abcdef"), 5, Path("x"))
    assert [reader.read(2), reader.read(3)] == [b"ab", b"cde"]
    with pytest.raises(DataError, match="x holds more than 0 MB"):
        reader.read(10)
    whole = BoundedReader(io.BytesIO(b"abcdef"), 6, Path("x"))
    assert [whole.read(10), whole.read(10), whole.read()] == [b"abcdef", b"", b""]


def test_a_gzip_bomb_takes_no_more_memory_than_the_bound(fresh_python: FreshPython, tmp_path: Path) -> None:
    """4 GB of zeros in 4 MB, read with a bound of 64 MB."""
    member = gzip.compress(bytes(32_000_000), 9)
    (tmp_path / "x.gz").write_bytes(member * 128)
    code = """
import resource, sys
from pathlib import Path
from netslim.core.errors import DataError
from netslim.data.reading.bounded_read import read_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_file(Path(sys.argv[1]), 64_000_000)
except DataError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = fresh_python(code, tmp_path / "x.gz", folder=tmp_path)
    assert int(done.stdout) < 200_000, done.stderr  # kilobytes


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b", b"no gzip file", gzip.compress(bytes(999), mtime=0)[:-9]])
def test_a_damaged_gzip_file(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(damage)
    if not damage:
        assert read_file(path, 10) == b""  # an empty file is one of no members
        return
    with pytest.raises(DataError, match=rf"^{path} is damaged \(.*\): delete it to download it again$"):
        read_file(path, 10_000)


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    for name in ("pipe", "pipe.gz"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "pipe.gz", tmp_path / "zero", tmp_path):
        with pytest.raises(DataError) as caught:
            read_file(path, 10)
        assert str(caught.value) == f"cannot read {path}: it is no regular file"
    with pytest.raises(DataError, match=r"pipe\.gz: it is no regular file$"), unpacked(tmp_path / "pipe.gz", 10):
        pass


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^cannot read {tmp_path / 'x'}: No such file or directory$"):
        read_file(tmp_path / "x", 10)
