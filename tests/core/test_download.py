import errno
import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from netslim.core.download import answer, download, published_hash
from netslim.core.errors import DataError

CONTENT = bytes(range(256)) * 4000  # 1 MB
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Mirror(ThreadingHTTPServer):
    """Serves CONTENT in one of several ways and notes the ranges it was asked for.

    ways: good; cut (closes after half of what is left, unless nothing more than 1/4 is left); once (the first answer is
    cut); whole (ignores ranges); wrong (other bytes); html (an error page with status 200); gone (404); shifted.
    """

    def __init__(self, way: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.way = way
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.bin"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        way = self.server.way
        if way == "gone":
            self.send_error(404)
            return
        body = {"wrong": CONTENT[::-1], "html": b"<html>Log in to the network</html>"}.get(way, CONTENT)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and way not in ("whole", "html") else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.answer(body, start, partial=start > 0)

    def answer(self, body: bytes, start: int, *, partial: bool) -> None:
        self.send_response(206 if partial else 200)
        first = start + (self.server.way == "shifted")
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        rest = body[start:]
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut = self.server.way == "cut" or (self.server.way == "once" and len(self.server.ranges) == 1)
        self.wfile.write(rest[: len(rest) // 2] if cut else rest)


@pytest.fixture
def mirrors() -> Iterator["list[Mirror]"]:
    servers: list[Mirror] = []
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def start(servers: list[Mirror], way: str) -> Mirror:
    server = Mirror(way)
    servers.append(server)
    Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
    return server


def part_of(target: Path, content: bytes) -> Path:
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(content)
    return part


@pytest.mark.parametrize("digest", [MD5, SHA256, SHA256[:15], SHA256.upper().replace("SHA256", "sha256")])
def test_a_file_arrives(tmp_path: Path, mirrors: list[Mirror], digest: str, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "folder" / "file.bin"
    server = start(mirrors, "good")
    assert download(target, [server.url], digest, size=len(CONTENT)) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    port = server.server_address[1]
    assert capsys.readouterr().err == (
        f"asking 127.0.0.1:{port} for file.bin\n"
        f"downloading file.bin (1.0 MB) from 127.0.0.1:{port}\ndownloaded {target}\n"
    )


def test_a_cut_answer_is_continued_by_range(tmp_path: Path, mirrors: list[Mirror]) -> None:
    server = start(mirrors, "once")
    download(tmp_path / "file.bin", [server.url], MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-"]


def test_what_an_earlier_attempt_left_is_continued(tmp_path: Path, mirrors: list[Mirror]) -> None:
    server, target = start(mirrors, "cut"), tmp_path / "file.bin"
    with pytest.raises(DataError, match=r"the connection closed after \d+ of 1024000 bytes"):
        download(target, [server.url], MD5)
    assert not target.exists()
    part = target.with_name("file.bin.part")
    kept = part.stat().st_size
    assert part.read_bytes() == CONTENT[:kept]
    server.way = "good"
    download(target, [server.url], MD5)
    assert server.ranges[-1] == f"bytes={kept}-"
    assert target.read_bytes() == CONTENT
    assert not part.exists()


def test_the_next_mirror_continues_what_the_first_began(tmp_path: Path, mirrors: list[Mirror]) -> None:
    first, second = start(mirrors, "cut"), start(mirrors, "good")
    download(tmp_path / "file.bin", [first.url, second.url], MD5)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert second.ranges[0] is not None


def test_a_server_that_ignores_ranges_sends_everything(tmp_path: Path, mirrors: list[Mirror]) -> None:
    target = tmp_path / "file.bin"
    part_of(target, CONTENT[:1000])
    server = start(mirrors, "whole")
    download(target, [server.url], MD5)
    assert server.ranges == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"stale" * 10, CONTENT + b"too long", CONTENT[:-1] + b"x"])
def test_a_part_that_was_wrong_is_dropped(tmp_path: Path, mirrors: list[Mirror], left: bytes) -> None:
    target = tmp_path / "file.bin"
    part_of(target, left)
    server = start(mirrors, "good")
    download(target, [server.url], MD5)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(left)}-", None]


def test_a_complete_part_needs_no_second_download(tmp_path: Path, mirrors: list[Mirror]) -> None:
    target = tmp_path / "file.bin"
    part_of(target, CONTENT)
    download(target, [start(mirrors, "good").url], MD5)
    assert target.read_bytes() == CONTENT


def test_a_terminal_shows_a_bar(tmp_path: Path, mirrors: list[Mirror], monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(writer, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        download(tmp_path / "file.bin", [start(mirrors, "good").url], MD5)
        shown = b""
        while b"downloaded" not in shown:  # a terminal hands over what is there, not all of it
            shown += os.read(reader, 100_000)
    os.close(reader)
    text = shown.decode()
    assert "file.bin from 127.0.0.1" in text
    assert "1.0/1.0 MB" in text


@pytest.mark.parametrize("way", ["wrong", "html", "gone"])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_the_second_mirror_has_the_right_file(
    tmp_path: Path, mirrors: list[Mirror], way: str, size: int | None
) -> None:
    urls = [start(mirrors, way).url, start(mirrors, "good").url]
    download(tmp_path / "file.bin", urls, MD5, size=size)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_login_page_does_not_cost_what_was_there(tmp_path: Path, mirrors: list[Mirror]) -> None:
    target = tmp_path / "file.bin"
    part = part_of(target, CONTENT[:1000])
    with pytest.raises(DataError, match="offered 34 bytes where the file has 1024000"):
        download(target, [start(mirrors, "html").url], MD5, size=len(CONTENT))
    assert part.read_bytes() == CONTENT[:1000]


def test_another_range_than_asked_for_is_refused(tmp_path: Path, mirrors: list[Mirror]) -> None:
    target = tmp_path / "file.bin"
    part = part_of(target, CONTENT[:1000])
    with pytest.raises(DataError, match="answered with another part of the file than the one asked for"):
        download(target, [start(mirrors, "shifted").url], MD5)
    assert part.read_bytes() == CONTENT[:1000]


def test_wrong_bytes_everywhere_leave_nothing(tmp_path: Path, mirrors: list[Mirror]) -> None:
    server = start(mirrors, "wrong")
    with pytest.raises(DataError, match="served a file with another hash"):
        download(tmp_path / "file.bin", [server.url], MD5)
    assert len(server.ranges) == 1
    assert list(tmp_path.iterdir()) == []


def test_not_found_is_said(tmp_path: Path, mirrors: list[Mirror]) -> None:
    server, target = start(mirrors, "gone"), tmp_path / "file.bin"
    with pytest.raises(DataError) as caught:
        download(target, [server.url], MD5)
    assert str(caught.value) == (
        f"could not download file.bin (127.0.0.1:{server.server_address[1]}: HTTP 404 Not Found): fetch {server.url} "
        f"by other means and put it at {target}, or name the folder that holds it with `data_dir`"
    )


def test_without_a_network_one_line_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        with pytest.raises(DataError) as caught:
            download(tmp_path / "file.bin", [url, url], MD5)
    message = str(caught.value)
    assert message.count("Connection refused") == 2
    assert f"fetch {url} by other means and put it at {tmp_path / 'file.bin'}, or name the folder" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"^cannot write .*file \(.*\): free some space or name another folder with `d"):
        download(tmp_path / "file" / "file.bin", ["http://127.0.0.1:1/"], MD5)


def test_a_disk_that_fills_up_is_said_and_the_download_goes_on_later(tmp_path: Path, mirrors: list[Mirror]) -> None:
    resource = pytest.importorskip("resource")  # a limit on the size of files stands for the full disk
    server, target = start(mirrors, "good"), tmp_path / "file.bin"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, hard))
    try:
        with pytest.raises(DataError) as caught:
            download(target, [server.url], MD5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == (
        f"cannot write {target}.part ({os.strerror(errno.EFBIG)}): "
        "free some space or name another folder with `data_dir`"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin.part"]
    download(target, [server.url], MD5)
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-"]
    assert target.read_bytes() == CONTENT


def test_the_hash_of_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cannot read .*nothing: No such file or directory"):
        published_hash(tmp_path / "nothing", "md5")


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin"


def test_who_fails_is_said_at_once_and_the_next_mirror_is_asked(
    tmp_path: Path,
    mirrors: list[Mirror],
    silent: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The patience is for all mirrors together, whatever a socket's time-out is."""
    monkeypatch.setattr("netslim.core.download.PATIENCE", 0.6)
    gone, good = start(mirrors, "gone").url, start(mirrors, "good").url
    download(tmp_path / "file.bin", [silent, gone, good], MD5)
    hosts = [url.split("/")[2] for url in (silent, gone, good)]
    assert capsys.readouterr().err.splitlines()[:5] == [
        f"asking {hosts[0]} for file.bin",
        f"{hosts[0]}: no answer within 0.2 seconds",
        f"asking {hosts[1]} for file.bin",
        f"{hosts[1]}: HTTP 404 Not Found",
        f"asking {hosts[2]} for file.bin",
    ]


def test_an_answer_is_handed_on_and_so_is_an_error() -> None:
    def fail() -> None:
        raise OSError("odd")

    assert answer(lambda: 3, 5.0) == 3
    with pytest.raises(OSError, match="odd"):
        answer(fail, 5.0)
