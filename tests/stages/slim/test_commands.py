"""The single commands of a recipe are what the command line takes."""

import shlex
from pathlib import Path

from netslim.cli.flags import spelled
from netslim.report.console import spelling
from netslim.stages.slim.commands import commands
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.planning import planned_recipe
from netslim.stages.slim.settings import folder_names, planned


def test_commands_can_be_pasted() -> None:
    recipe = planned_recipe(SlimConfig(dataset="fashion-mnist", depth=20), 10).with_settings({"tune.teacher": "dense"})
    folder = Path("runs/my run")
    steps = planned(recipe, {name: folder / place for name, place in folder_names(recipe).items()})
    with spelling(spelled):
        dense, prune, tune = (shlex.split(line) for line in commands(steps))
    assert dense[:4] == ["netslim", "train", "--dataset", "fashion-mnist"]
    assert prune[:3] == ["netslim", "prune", "runs/my run/01-dense/model_best.pth.tar"]
    assert prune[-2:] == ["--save", "runs/my run/02-prune"]
    assert tune[tune.index("--refine") + 1] == "runs/my run/02-prune/pruned.pth.tar"
    assert tune[tune.index("--teacher") + 1] == "runs/my run/01-dense/model_best.pth.tar"
