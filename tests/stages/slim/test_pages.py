"""Which pages are made, and of what."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netslim.stages.slim import pages
from netslim.stages.slim.pages import make_pages


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that pages were made in."""
    found: list[Path] = []

    def make_page(folder: Path, **_: Any) -> Path | None:
        found.append(folder)
        if (folder / "none").exists():
            return None
        (folder / "report.html").write_text("page")
        return folder / "report.html"

    monkeypatch.setattr(pages, "make_page", make_page)
    monkeypatch.setattr("netslim.stages.slim.summary.task_of_steps", lambda steps: {})
    return found


def variants_in(root: Path, *names: str) -> list[Any]:
    for name in names:
        (root / name / "01-dense").mkdir(parents=True)
        (root / name / "01-dense" / "step.json").write_text(name)
    return [
        SimpleNamespace(folder=root / name, steps=[SimpleNamespace(folder=root / name / "01-dense")]) for name in names
    ]


def test_one_per_variant_and_one_of_all(made: list[Path], tmp_path: Path) -> None:
    variants = variants_in(tmp_path, "seed-1", "seed-2")
    of = make_pages(tmp_path, variants, "")
    assert made == [tmp_path / "seed-1", tmp_path / "seed-2", tmp_path]
    assert make_pages(tmp_path, variants, of) == of
    assert len(made) == 3
    (tmp_path / "seed-2" / "report.html").unlink()
    make_pages(tmp_path, variants, of)
    (tmp_path / "seed-1" / "01-dense" / "step.json").write_text("other")
    assert make_pages(tmp_path, variants, of) != of
    assert len(made) == 9


def test_one_that_failed_is_tried_again(made: list[Path], tmp_path: Path) -> None:
    (variant,) = variants_in(tmp_path, "run")
    (variant.folder / "none").touch()
    assert not make_pages(variant.folder, [variant], "")
    assert made == [variant.folder]
