"""A server on this machine that speaks what is needed of the Hugging Face hub's protocol."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LocalHub(ThreadingHTTPServer):
    """Repositories in memory; `refuses` is the status of every answer, where it is not 0.

    Attributes:
        repositories: name -> file -> content.
        private: those that were made for nobody else.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: list[str] = []
        self.refuses = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> "LocalHub":
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.shutdown()
        self.server_close()

    def use(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The hub's package asks this server, and keeps what it fetches in `cache`."""
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.split("/{repo_id}")[1]
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{self.url}/{{repo_id}}{template}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_test")


class Handler(BaseHTTPRequestHandler):
    server: LocalHub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/").split("/")
        if self.server.refuses:
            self.answer(self.server.refuses, {"error": "no"})
        elif path[:2] == ["api", "models"] and "tree" in path:
            self.tree("/".join(path[2:4]))
        elif path[:2] == ["api", "models"]:
            self.model_info("/".join(path[2:4]))
        else:
            self.file("/".join(path[:2]), "/".join(path[4:]))

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        path = urlsplit(self.path).path.strip("/").split("/")
        if self.server.refuses:
            self.answer(self.server.refuses, {"error": "no"})
        elif path[:3] == ["api", "repos", "create"]:
            self.create(json.loads(content))
        elif path == ["api", "validate-yaml"]:
            self.answer(200, {"errors": [], "warnings": []})
        elif path[4] == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(content)["files"]
            ]
            self.answer(200, {"files": files})
        else:
            self.commit("/".join(path[2:4]), content)

    def model_info(self, name: str) -> None:
        files = self.server.repositories.get(name)
        if files is None:
            self.answer(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = [{"rfilename": file} for file in files]
        self.answer(200, {"id": name, "sha": COMMIT, "siblings": siblings})

    def tree(self, name: str) -> None:
        files = self.server.repositories.get(name, {}).items()
        self.answer(200, [{"type": "file", "path": file, "size": len(content), "oid": file} for file, content in files])

    def file(self, name: str, file: str) -> None:
        content = self.server.repositories.get(name, {}).get(file)
        if content is None:
            self.answer(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        etag = f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"'
        self.answer(200, content, {"X-Repo-Commit": COMMIT, "ETag": etag})

    def create(self, wanted: dict[str, object]) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        self.server.repositories.setdefault(name, {})
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.server.private.append(name)
        self.answer(200, {"url": f"{self.server.url}/{name}", "name": name})

    def commit(self, name: str, content: bytes) -> None:
        for line in content.splitlines():
            record = json.loads(line)
            if record["key"] == "file":
                self.server.repositories[name][record["value"]["path"]] = base64.b64decode(record["value"]["content"])
        self.answer(200, {"commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at what the client makes of it."""
