import os
from pathlib import Path

import pytest

from netslim.core.errors import DataError, NetslimWarning
from netslim.data.reading.verified import verify_content, verify_contents, verify_file

MD5 = "900150983cd24fb0d6963f7d28e17f72"  # of abc


def test_the_published_content_passes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    verify_file(tmp_path / "x", MD5, unverified=False)
    verify_content(tmp_path / "x", b"abc", MD5, unverified=False)


@pytest.mark.parametrize("content", [b"", b"abd"])
def test_any_other_is_refused_unless_it_is_allowed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    message = rf"^{path} is not the published file \(MD5 expected {MD5}, found "
    with pytest.warns(NetslimWarning, match=message):
        verify_file(path, MD5, unverified=True)
    with pytest.warns(NetslimWarning, match=message):
        verify_content(path, content, MD5, unverified=True)
    with pytest.raises(DataError, match=message):
        verify_file(path, MD5, unverified=False)
    with pytest.raises(DataError, match=message):
        verify_content(path, content, MD5, unverified=False)


def test_all_files_of_a_data_set_are_one_warning(tmp_path: Path) -> None:
    given = {
        tmp_path / name: (content, MD5) for name, content in {"a": b"abc", "b": b"b", "c": b"c", "d": b"d"}.items()
    }
    with pytest.warns(NetslimWarning) as warned:
        verify_contents(given, unverified=True)
    (line,) = [str(warning.message) for warning in warned]
    assert line.startswith(f"{tmp_path / 'b'} is not the published file (MD5 expected {MD5}, found ")
    assert line.endswith("): it and 2 more that differ are taken as they are")


def test_a_pipe_is_never_opened_not_even_unverified(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    for unverified in (False, True):
        with pytest.raises(DataError, match=rf"^cannot read {tmp_path / 'x'}: it is no regular file$"):
            verify_file(tmp_path / "x", MD5, unverified=unverified)
