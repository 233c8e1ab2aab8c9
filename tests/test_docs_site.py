"""The site of `make docs`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import netslim

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_it_is_built_without_a_warning_or_a_network_and_can_be_searched(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-c",
        "docs",
        "-b",
        "html",
        ".",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    api = (tmp_path / "docs" / "api.html").read_text()
    assert set(re.findall(r'id="netslim\.(\w+)"', api)) == set(netslim.__all__)
    assert (tmp_path / "searchindex.js").exists()
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)', page.read_text()
        )
        assert not fetched, page.name
