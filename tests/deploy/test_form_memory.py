"""Forms that were found once are not searched for again, until something they depend on is another."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exported_networks import IMAGES, NETWORKS
from torch import nn

from netslim.core.errors import NetslimWarning
from netslim.cost import Latency
from netslim.deploy import TARGETS, Form
from netslim.deploy.form_memory import fastest_form
from netslim.deploy.form_search import Choice, Search
from netslim.deploy.inference import simplified

FOUND = Form(multiple=8)
ONNX, EAGER = TARGETS.get("onnx"), TARGETS.get("eager")
Look = Callable[..., Choice]


@pytest.fixture
def searches() -> list[str]:
    """A name for every search that was made."""
    return []


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, searches: list[str]) -> Look:
    """`fastest_form`, whose search finds one and the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    trained = NETWORKS["vgg"]()

    def choose(*_: object) -> Choice:
        searches.append("search")
        times = {form: Latency(median=t, lower_quartile=t, upper_quartile=t, runs=5) for form, t in TIMES.items()}
        return Choice(form=FOUND, measured=times)

    monkeypatch.setattr("netslim.deploy.form_memory.choose", choose)

    def call(
        target: object = ONNX,
        seconds: float = 0.3,
        model: nn.Module | None = None,
        batch: int = 2,
        *,
        int8: bool = False,
    ) -> Choice:
        network = simplified(model or trained, IMAGES)  # made anew every time, as by another command
        return fastest_form(model or trained, network, IMAGES[:batch], target, Search(seconds=seconds), int8=int8)  # type: ignore[arg-type]

    return call


TIMES = {Form(): 2.0, FOUND: 1.0}


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "netslim" / "forms").glob("*.json"))


def test_what_was_found_is_not_searched_again(look: Look, searches: list[str], tmp_path: Path) -> None:
    first, again = look(), look()
    assert (first.form, again.form, again.measured) == (FOUND, FOUND, first.measured)
    assert (first.is_remembered, again.is_remembered) == (False, True)
    assert look(seconds=0.1).is_remembered
    assert not look(seconds=1.0).is_remembered, "asked for a longer measurement"
    assert look(seconds=1.0).is_remembered
    assert len(searches) == 2
    (path,) = entries(tmp_path)
    assert json.loads(path.read_text())["seconds"] == 1.0


def test_int8_has_a_form_of_its_own(look: Look, searches: list[str]) -> None:
    look()
    first, again = look(int8=True), look(int8=True)
    assert (first.int8, again.int8, look().int8) == (True, True, False)
    assert (first.is_remembered, again.is_remembered) == (False, True)
    assert len(searches) == 2


def test_another_network_engine_batch_or_number_of_threads_is_another(
    look: Look, searches: list[str], tmp_path: Path
) -> None:
    look()
    changed = NETWORKS["vgg"]()
    with torch.no_grad():
        next(changed.parameters())[0, 0, 0, 0] += 1.0
    look(model=changed)
    look(target=EAGER)
    look(batch=1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        look()
    finally:
        torch.set_num_threads(threads)
    assert len(searches) == len(entries(tmp_path)) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"nchw"', '"nhcw"'),  # in the forms
        lambda text: text.replace('"median": 1.0', '"median": -1.0'),
        lambda text: text.replace('"selection"', '"choice"'),
    ],
)
def test_a_damaged_entry_is_none(look: Look, searches: list[str], tmp_path: Path, damage: Callable[[str], str]) -> None:
    look()
    (path,) = entries(tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.warns(NetslimWarning, match=f"{path} is damaged .*: the forms are measured again"):
        assert not look().is_remembered
    assert look().is_remembered
    assert len(searches) == 2


def test_what_a_busy_machine_measured_is_not_kept(look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    time = Latency(median=1.6, lower_quartile=1.0, upper_quartile=9.0, runs=5)
    busy = Choice(form=FOUND, measured={FOUND: time})
    monkeypatch.setattr("netslim.deploy.form_memory.choose", lambda *_: busy)
    assert look() is busy
    assert entries(tmp_path) == []


def test_where_nothing_can_be_kept_the_search_goes_on(look: Look, tmp_path: Path) -> None:
    (tmp_path / "netslim").write_text("in the way")
    with pytest.warns(NetslimWarning, match="the form is not remembered: "):
        assert look().form == FOUND


def test_one_form_is_no_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = NETWORKS["vgg"]()
    only = Search(selection="zeros", multiple=1, clamp=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fastest_form(model, simplified(model, IMAGES), IMAGES, ONNX, only).form == Form()
    assert entries(tmp_path) == []
