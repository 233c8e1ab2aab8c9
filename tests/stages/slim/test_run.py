"""Runs on a few tiny images: what is done again and what is not, after cuts, changes and mistakes."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.core.files import file_hash
from netslim.core.processes.signals import Stopped
from netslim.models.registry import LIBRARIES
from netslim.network import load
from netslim.stages.report import speed as speed_module
from netslim.stages.slim import pace as pace_module
from netslim.stages.slim import run as slim_module
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.planning import SHAPES
from netslim.stages.slim.run import run
from netslim.stages.slim.run_folder import SlimFolder
from netslim.stages.stage import Stage

RECIPE = """
dataset = "folder"
device = "cpu"

[[step]]
name = "dense"
verb = "train"
depth = 11
epochs = 1
batch_size = 8
precision = "fp32"

[[step]]
verb = "prune"
from = "dense"
percent = 0.4
recalibrate = 0

[[step]]
name = "tune"
verb = "train"
from = "prune"
teacher = "dense"
epochs = 1
batch_size = 8
precision = "fp32"
"""
Slim = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def _short_timings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed_module, "SECONDS", 0.001)
        yield


@pytest.fixture(scope="module")
def once(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; not to be written to."""
    root = tmp_path_factory.mktemp("once")
    (root / "recipe.toml").write_text(RECIPE)
    run(SlimConfig(recipe=root / "recipe.toml", data_dir=folder, save=root / "run"))
    return root / "run"


@pytest.fixture
def finished(once: Path, tmp_path: Path) -> list[str]:
    """Puts the finished run to where `slim` runs. Returns the hashes of its networks."""
    shutil.copytree(once, tmp_path / "run")
    return hashes_of(json.loads((once / "slim.json").read_text())["result"])


def hashes_of(result: dict[str, Any]) -> list[str]:
    return [row["sha256"] for row in result["networks"]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the steps that did something."""
    found: list[str] = []
    usual = Stage.run

    def run_step(kind: Stage, config: Any) -> dict[str, Any]:
        found.append(config.save.name)
        return usual(kind, config)

    monkeypatch.setattr(Stage, "run", run_step)
    monkeypatch.setattr(pace_module, "SECONDS", 0.0)
    return found


@pytest.fixture
def slim(tmp_path: Path, folder: Path) -> Slim:
    """`slim({"prune.percent": 0.5})` runs the recipe with that changed."""
    (tmp_path / "recipe.toml").write_text(RECIPE)

    def act(changes: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
        values = {"recipe": tmp_path / "recipe.toml", "data_dir": folder, "save": tmp_path / "run", **given}
        return run(SlimConfig.build({**values, **(changes or {})}))

    return act


def test_only_what_changed_and_what_follows_runs_again(
    slim: Slim, finished: list[str], ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert file_hash(tmp_path / "run" / "small.pth.tar") == finished[1]
    assert hashes_of(slim()) == finished
    assert ran == []
    capsys.readouterr()
    slim({"prune.percent": 0.6})
    assert ran == ["02-prune", "03-tune"]
    out = capsys.readouterr().out
    assert f"{tmp_path}/run/02-prune: percent 0.4 there, 0.6 now; what is there moves to {tmp_path}/run/earlier" in out
    assert f"{tmp_path}/run/03-tune: it starts from another file; what is there moves to" in out
    ran.clear()
    assert hashes_of(slim()) == finished  # what was done before comes back
    assert ran == []


@pytest.mark.usefixtures("finished")
def test_the_page_says_how_fast_it_is_which_is_measured_once(
    slim: Slim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slim()
    assert ", eager, " in (tmp_path / "run" / "report.html").read_text()
    monkeypatch.setattr(speed_module, "bench", lambda _: pytest.fail("measured again"))
    slim()


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_pages_are_made_again_where_something_changed(
    slim: Slim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "run" / "report.html"
    slim()
    first, said = page.stat().st_mtime_ns, f"{page} is of these steps already, and stays as it is"
    assert said not in capsys.readouterr().out
    slim()
    assert (page.stat().st_mtime_ns, said in capsys.readouterr().out) == (first, True)
    slim({"prune.percent": 0.6})
    slim()
    assert said not in capsys.readouterr().out
    page.unlink()
    slim()
    assert page.is_file()
    monkeypatch.setattr("netslim.stages.slim.pages.versions", lambda: {"netslim": "99"})
    slim()
    assert said not in capsys.readouterr().out


@pytest.mark.usefixtures("finished")
def test_without_a_latency_there_is_a_page(
    slim: Slim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(config: Any) -> None:
        raise NetslimError("no engine runs it")

    monkeypatch.setattr(speed_module, "bench", refuse)
    slim()
    assert "no latency: no engine runs it" in capsys.readouterr().out
    assert "latency not measured" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_a_new_step_in_the_middle_leaves_the_others_as_they_are(slim: Slim, ran: list[str], tmp_path: Path) -> None:
    step = '[[step]]\nverb = "sweep"\nfrom = "dense"\npercents = "0.5"\nlatency_batch = 0\n\n'
    (tmp_path / "more.toml").write_text(RECIPE.replace('[[step]]\nverb = "prune"', f'{step}[[step]]\nverb = "prune"'))
    slim(recipe=tmp_path / "more.toml")
    assert ran == ["02-sweep"]
    names = {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()}
    assert names == {"01-dense", "02-sweep", "03-prune", "04-tune", "bench", "earlier"}


@pytest.mark.parametrize("step", [pytest.param("02-prune", marks=pytest.mark.slow), "03-tune"])
def test_a_cut_changes_no_bit(
    slim: Slim, once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    usual = Stage.run

    def cut(kind: Stage, config: Any) -> dict[str, Any]:
        if config.save.name == step:
            raise Stopped(2)
        return usual(kind, config)

    with monkeypatch.context() as patch:
        patch.setattr(Stage, "run", cut)
        with pytest.raises(Stopped):
            slim()
    assert json.loads((tmp_path / "run" / step / "step.json").read_text())["status"] == "running"
    page = tmp_path / "run" / "report.html"
    assert "<h1>run</h1>" in page.read_text()
    assert "Half-finished" in page.read_text()
    slim()
    assert "Half-finished" not in page.read_text()
    whole = load(once / "small.pth.tar").state_dict()
    again = load(tmp_path / "run" / "small.pth.tar").state_dict()
    assert whole.keys() == again.keys()
    assert all((value == again[key]).all() for key, value in whole.items())


@pytest.mark.usefixtures("finished")
def test_a_file_that_was_deleted_or_changed_is_made_again(slim: Slim, ran: list[str], tmp_path: Path) -> None:
    (tmp_path / "run" / "03-tune" / "model_best.pth.tar").write_bytes(b"x")
    before = json.loads((tmp_path / "run" / "slim.json").read_text())["result"]["rows"][0]
    assert slim()["rows"][0]["small_top1"] == before["small_top1"]
    assert ran == ["03-tune"]


@pytest.mark.slow
@pytest.mark.usefixtures("finished")
def test_values_share_what_they_have_in_common(
    slim: Slim, ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = slim(sweep=["prune.percent=0.3,0.6"])
    assert ran == ["02-prune", "03-tune"] * 2
    assert [row["prune.percent"] for row in found["rows"]] == [0.3, 0.6]
    lines = (tmp_path / "run" / "slim.csv").read_text().splitlines()
    assert lines[0].startswith("prune.percent,dense_top1,dense_images,dense_params,dense_macs,dense_file,small_top1")
    assert len(lines) == 3
    assert all(Path(row["small_file"]).name == "small.pth.tar" for row in found["rows"])
    out = capsys.readouterr().out
    assert "small test top-1 (%)" in out
    assert "the same by single verbs (prune.percent 0.6):" in out
    first = tmp_path / "run" / "prune-percent-0.3"
    assert f"slim.csv and a sub-folder per step; small.pth.tar and report.html of each in {first} and its like" in out
    assert (first / "report.html").is_file()
    assert "Side by side: all 2" in (tmp_path / "run" / "report.html").read_text()


def test_looking_writes_nothing(slim: Slim, ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slim(dry_run=True)
    assert ran == []
    assert not (tmp_path / "run").exists()
    out = capsys.readouterr().out
    assert f"{tmp_path}/run/02-prune" in out
    assert "in all: an epoch of 23 images takes about" in out


def test_a_plan_for_a_time_is_made_once(
    folder: Path, ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pace_module.Pace(
        train_second=0.1, test_second=0.01, train=23, val=3, test=8, shape={"round_to": 8}, precision="fp32"
    )
    measured: list[Any] = []
    monkeypatch.setattr("netslim.stages.slim.run.measure_pace", lambda *probe: measured.append(probe) or found)
    given = {"dataset": "folder", "data_dir": folder, "depth": 11, "device": "cpu", "save": tmp_path, "time": "2m"}
    epochs = {"dense.epochs": 1, "tune.epochs": 1, "dense.batch_size": 8}
    for _ in range(2):
        result = run(SlimConfig.build({**given, **epochs}))
    assert len(measured) == 1
    assert ran == ["01-dense", "02-prune", "03-tune"]
    assert result["rows"][0]["small_macs"] == pytest.approx(0.5 * result["rows"][0]["dense_macs"], rel=0.02)
    assert "target_macs = 0.5\nround_to = 8" in (text := (tmp_path / "recipe.toml").read_text())
    assert text.count('precision = "fp32"') == 2
    run(SlimConfig.build({**given, **epochs, "time": "3m"}))
    assert len(measured) == 1  # for another time the same pace


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        ({}, SHAPES[False]),
        ({"target_params": 0.3}, SHAPES[False]),
        ({"percent": 0.4}, ()),
        ({"prune.round_to": 4}, ()),
        ({"prune.residual": "couple"}, ()),
        ({"target_latency": "3ms"}, ()),
    ],
)
def test_widths_are_chosen_where_nobody_did(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], shapes: tuple[Any, ...]
) -> None:
    found = pace_module.Pace(train_second=0.1, test_second=0.01, train=23, val=3, test=8)
    asked: list[Any] = []
    monkeypatch.setattr("netslim.stages.slim.run.measure_pace", lambda *probe: asked.append(probe[2]) or found)
    start = {"dataset": "folder", "data_dir": folder, "depth": 11, "device": "cpu", "save": tmp_path / "run"}
    run(SlimConfig.build({**start, **given, "dry_run": True}))
    assert asked == [shapes]


def test_two_at_once(slim: Slim, tmp_path: Path) -> None:
    with SlimFolder(tmp_path / "run"), pytest.raises(UsageError) as error:
        slim()
    assert str(error.value) == (f"{tmp_path / 'run'} is in use by another process; wait for it or give another `save`")


def test_what_is_of_no_recipe_is_left_alone(slim: Slim, ran: list[str], tmp_path: Path) -> None:
    mine = tmp_path / "run" / "01-dense" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("x")
    with pytest.raises(UsageError, match=r"^step 'dense': .*01-dense holds files that are of no recipe: move them"):
        slim()
    assert mine.read_text() == "x"


@pytest.mark.usefixtures("finished")
def test_a_damaged_record_says_what_to_do(slim: Slim, ran: list[str], tmp_path: Path) -> None:
    (tmp_path / "run" / "slim.json").write_text("{")
    with pytest.raises(NetslimError, match=r"slim\.json can't be read .*; delete it: finished steps stay$"):
        slim()
    (tmp_path / "run" / "slim.json").unlink()
    slim()
    assert ran == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prune.percent": 2.0}, "step 'prune': `percent=2`: the share of"),
        ({"prune.target_macs": "0.5", "dense.epochs": 0}, "step 'dense': `epochs=0`: input should be greater"),
        ({"prune.epochs": 3}, "step 'prune': `epochs=3`: one step has no training"),
        ({"tune.teacher": "dens"}, "step 'tune': `teacher='dens'`: it is 'dens', which no step before it makes; did"),
        ({"tune.schedule": "cosin"}, "step 'tune': unknown schedule 'cosin'; did you mean cosine"),
    ],
)
def test_mistakes_are_found_before_the_first_step(
    slim: Slim, ran: list[str], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        slim(changes)
    assert str(error.value).startswith(f"{tmp_path / 'recipe.toml'}: {message}")
    assert ran == []
    assert not (tmp_path / "run").exists()


def test_one_seed_and_several_contradict_each_other() -> None:
    with pytest.raises(UsageError, match=r"^`seed=3`: `seeds` says all of them: leave one of the two out$"):
        run(SlimConfig(dataset="digits", depth=11, seed=3, seeds="1,2", dry_run=True))


@pytest.mark.parametrize("set_already", ["prune.percent", "percent"])  # of the step, or of the plan
def test_a_step_has_one_budget_swept_or_set(set_already: str) -> None:
    config = SlimConfig.build({"dataset": "digits", set_already: 0.3, "sweep": ["prune.target_macs=0.5,0.7"]})
    with pytest.raises(UsageError, match=r"prune has one budget, and prune\.percent is set already; leave one of them"):
        run(config)


def test_weights_that_can_not_be_had_are_said_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(name: str) -> tuple[Path, str]:
        raise CheckpointError(f"cannot get pretrained weights of {name}: pass `weights=FILE` or `pretrained=False`")

    library = dataclasses.replace(LIBRARIES.get("timm"), fetch=fetch)
    monkeypatch.setattr(LIBRARIES, "get", lambda name: library)
    monkeypatch.setattr(slim_module, "measure_pace", lambda *_: pytest.fail("timed"))
    config = SlimConfig(dataset="digits", arch="timm/test_resnet", time="5m", save=tmp_path / "run")
    own = r"pass --set transferred\.weights=FILE or --set transferred\.pretrained=False$"
    with pytest.raises(CheckpointError, match=rf"^step 'transferred': cannot get .* of test_resnet: {own}"):
        run(config)


def test_a_dry_run_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slim_module, "measure_pace", lambda *_: pytest.fail("timed"))
    run(SlimConfig(dataset="cifar10", data_dir=tmp_path, dry_run=True, save=tmp_path / "run"))
    out = capsys.readouterr().out
    assert "the images of cifar10 are not here: nothing was timed" in out
    assert "01-dense" in out
