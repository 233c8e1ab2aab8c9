"""The page in a real browser: nothing runs over, everything can be read, by day and by night, without scripts."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from page_runs import seen, sensitivity, sweep, write_chain

from netslim.report.page.chain import runs_in
from netslim.report.page.render import page_text

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
)
SCRIPT = Path(__file__).with_name("measure.js").read_text()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium to look at the page with"),
]


def look(page: str, folder: Path, *, width: int, dark: bool) -> dict[str, Any]:
    """What the script finds in the page, in a frame of that width that runs no scripts."""
    frame = f'<iframe sandbox="allow-same-origin" width="{width}" height="800" style="border:0" srcdoc="'
    head = '<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    (folder / "outer.html").write_text(f'{head}<body>{frame}{html.escape(page)}"></iframe><script>{SCRIPT}</script>')
    ended = subprocess.run(
        [
            *(str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width + 50},900"),
            *(f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=5000", "--dump-dom"),
            (folder / "outer.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    assert "CONSOLE" not in ended.stderr
    match = re.search(r'data-found="([^"]*)"', ended.stdout)
    assert match, ended.stdout[-500:]
    found: dict[str, Any] = json.loads(html.unescape(match[1]))
    return found


@pytest.mark.parametrize("width", [360, 1400])
def test_trials_fit_as_well(tmp_path: Path, width: int) -> None:
    for number, made in enumerate((sweep(tmp_path / "sweep"), sensitivity(tmp_path / "layers"))):
        (tmp_path / str(number)).mkdir()
        found = look(page_text(runs_in([made])), tmp_path / str(number), width=width, dark=bool(number))
        assert found["scroll"] <= found["width"]
        assert (found["wide"], found["faint"], found["nameless"]) == ([], [], 0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_runs_over_and_everything_can_be_read(tmp_path: Path, width: int, dark: bool) -> None:
    folders = write_chain(tmp_path / "runs")
    page = page_text(runs_in(folders), seen("a dog", "a_class_with_a_name_that_is_very_long_indeed_" * 2, "c"))
    found = look(page, tmp_path, width=width, dark=dark)
    assert found["width"] in range(width - 20, width + 1)  # but for a scroll bar
    assert found["scroll"] <= found["width"]
    assert (found["wide"], found["faint"], found["nameless"]) == ([], [], 0)
    assert (found["fit"], found["broken"]) == (2, 0)  # no number in a table is cut, and no flag in a command
    assert found["words"]
    assert found["smallest"] >= 12
    assert (sum(found["ground"][:3]) < 150) == dark
    assert found["narrow"] == (width == 360)
