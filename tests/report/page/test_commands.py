"""Commands in the words of whoever writes the page."""

from pathlib import Path

from page_runs import write_run

from netslim.report.page.commands import command_of, commands_spelled
from netslim.report.page.run_folder import read_run


def test_a_command_can_be_typed_as_it_stands(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", settings={"save": "my runs/a", "epochs": 3}))
    assert command_of(run) == "netslim train '--set=save=my runs/a' --set=epochs=3"
    with commands_spelled(lambda verb, settings: f"{verb} {sorted(settings)}"):
        assert command_of(run) == "train ['epochs', 'save']"


def test_an_old_run_repeats_what_is_not_empty(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", settings=None, config={"resume": None, "epochs": 3, "nesterov": False}))
    assert command_of(run) == f"netslim train --set=epochs=3 --set=save={tmp_path / 'run'}"
