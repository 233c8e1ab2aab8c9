"""Descriptors, pipes and devices, which are written to as they are."""

import os
from pathlib import Path

import pytest

from netslim.core.streams import is_standard_output, is_written_through, write_through


def test_what_is_written_through(tmp_path: Path) -> None:
    file, pipe, link = tmp_path / "file", tmp_path / "pipe", tmp_path / "link"
    file.touch()
    os.mkfifo(pipe)
    link.symlink_to("/dev/stdout")
    assert all(is_written_through(path) for path in (pipe, link, Path("/dev/null"), Path("/dev/fd/1")))
    assert not any(is_written_through(path) for path in (file, tmp_path, tmp_path / "not there"))


def test_all_of_the_data_arrives_and_a_reader_that_has_left_is_the_pipes_own_error() -> None:
    reader, writer = os.pipe()
    write_through(Path(f"/dev/fd/{writer}"), b"abc")
    assert os.read(reader, 9) == b"abc"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        write_through(Path(f"/dev/fd/{writer}"), b"abc")
    os.close(writer)


def test_standard_output_under_its_names_and_as_a_file(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to("/dev/stdout")
    assert all(is_standard_output(path) for path in (Path("/dev/stdout"), Path("/proc/self/fd/1"), link))
    kept, opened = os.dup(1), os.open(file, os.O_WRONLY)
    null = os.open("/dev/null", os.O_WRONLY)
    try:
        assert not is_standard_output(file)
        os.dup2(opened, 1)
        assert is_standard_output(file)
        assert not is_standard_output(tmp_path / "not there")
        os.dup2(null, 1)
        assert not is_standard_output(Path("/dev/null"))
    finally:
        os.dup2(kept, 1)
        for each in (kept, opened, null):
            os.close(each)
