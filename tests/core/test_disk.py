"""What the file system is asked for."""

import io
from pathlib import Path

from netslim.core.disk import DISK


class Slow(io.BytesIO):
    """Takes three bytes at a time, as a pipe may."""

    def write(self, data: object) -> int:
        """How many were taken."""
        return super().write(bytes(data)[:3])  # type: ignore[call-overload]


def test_all_of_the_data_is_written() -> None:
    stream = Slow()
    DISK.write(stream, b"0123456789")
    assert stream.getvalue() == b"0123456789"


def test_removing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    folder, link = tmp_path / "a" / "b", tmp_path / "link"
    DISK.make_folder(folder)
    link.symlink_to(folder)
    DISK.remove(link)
    assert folder.is_dir()
    DISK.remove(tmp_path / "a")
    DISK.remove(tmp_path / "a" / "nothing")
    assert not folder.exists()


def test_a_rename_replaces(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    DISK.rename(tmp_path / "old", tmp_path / "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("new", "old")]
