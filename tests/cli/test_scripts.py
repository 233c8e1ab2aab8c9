"""The guide's scripts: every old flag and what it becomes."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer.main

from netslim.cli.app import app
from netslim.cli.scripts import translate
from netslim.cli.verbs import VERBS

DEFAULTS = {
    "main.py": {
        "--select-on": "test",
        "--dataset": "cifar100",
        "--arch": "vgg",
        "--depth": "19",
        "--s": "0.0001",
        "--epochs": "160",
        "--start-epoch": "0",
        "--batch-size": "64",
        "--test-batch-size": "256",
        "--lr": "0.1",
        "--momentum": "0.9",
        "--weight-decay": "0.0001",
        "--seed": "1",
        "--log-interval": "100",
        "--precision": "auto",
        "--save": "./logs",
    },
    **{
        script: {
            "--dataset": "cifar100",
            "--depth": depth,
            "--percent": "0.5",
            "--test-batch-size": "256",
            "--recalibrate": "0",
            "--no-absorb": True,
            "--no-carry-momentum": True,
            "--save": ".",
        }
        for script, depth in (("resprune.py", "164"), ("vggprune.py", "19"), ("denseprune.py", "40"))
    },
    "transfer_weights.py": {
        "--source": "torchvision",
        "--model-name": "resnet50",
        "--dataset": "cifar10",
        "--depth": "164",
        "--output": "transferred_model.pth.tar",
    },
}
PRUNE = ("resprune.py", "vggprune.py", "denseprune.py")
FLAGS = {"--absorb", "--no-absorb", "--no-carry-momentum", "--sparsity-regularization", "--no-pretrained", "--debug"}
FLAGS |= {"--unverified-data", "--verbose"}


def parsed(arguments: list[str]) -> tuple[str, list[str], dict[str, str | bool]]:
    """Verb, positional arguments and options of a new command line."""
    verb, *rest = arguments
    positional, options = [], {}
    while rest:
        item = rest.pop(0)
        if item in FLAGS:
            options[item] = True
        elif item.startswith("--"):
            options[item] = rest.pop(0)
        else:
            positional.append(item)
    return verb, positional, options


@pytest.mark.parametrize(
    ("script", "verb"),
    [("main.py", "train"), *[(name, "prune") for name in PRUNE], ("transfer_weights.py", "transfer")],
)
def test_the_originals_defaults(script: str, verb: str) -> None:
    assert parsed(translate(script, [])) == (verb, [], DEFAULTS[script])


@pytest.mark.parametrize(
    ("script", "old", "new"),
    [
        ("main.py", "--dataset cifar10", {"--dataset": "cifar10"}),
        ("main.py", "--sparsity-regularization", {"--sparsity-regularization": True}),
        ("main.py", "-sr", {"--sparsity-regularization": True}),
        ("main.py", "--s 0.00001", {"--s": "1e-05"}),
        ("main.py", "--refine p.pth.tar", {"--refine": "p.pth.tar"}),
        ("main.py", "--batch-size 7", {"--batch-size": "7"}),
        ("main.py", "--test-batch-size 9", {"--test-batch-size": "9"}),
        ("main.py", "--epochs 3", {"--epochs": "3"}),
        ("main.py", "--start-epoch 2", {"--start-epoch": "2"}),
        ("main.py", "--lr 0.5", {"--lr": "0.5"}),
        ("main.py", "--momentum 0.8", {"--momentum": "0.8"}),
        ("main.py", "--weight-decay 0.01", {"--weight-decay": "0.01"}),
        ("main.py", "--wd 0.01", {"--weight-decay": "0.01"}),
        ("main.py", "--resume a.pth.tar", {"--resume": "a.pth.tar"}),
        ("main.py", "--no-cuda", {"--device": "cpu"}),
        ("main.py", "--seed 4", {"--seed": "4"}),
        ("main.py", "--log-interval 5", {"--log-interval": "5"}),
        ("main.py", "--save ./x", {"--save": "./x"}),
        ("main.py", "--save ''", {"--save": "."}),
        ("main.py", "--arch resnet", {"--arch": "resnet"}),
        ("main.py", "--depth 164", {"--depth": "164"}),
        ("main.py", "--precision fp32", {"--precision": "fp32"}),
        ("main.py", "--data-dir d", {"--data-dir": "d"}),
        ("main.py", "--json out.json", {"--json": "out.json"}),
        ("main.py", "--stem cifar --arch resnet", {"--stem": "cifar", "--arch": "resnet"}),
        ("main.py", "--debug", {"--debug": True}),
        ("main.py", "--unverified-data", {"--unverified-data": True}),
        *(
            (script, old, new)
            for script in PRUNE
            for old, new in (
                ("--dataset cifar10", {"--dataset": "cifar10"}),
                ("--test-batch-size 9", {"--test-batch-size": "9"}),
                ("--no-cuda", {"--device": "cpu"}),
                ("--depth 16", {"--depth": "16"}),
                ("--percent 0.4", {"--percent": "0.4"}),
                ("--save ./p", {"--save": "./p"}),
            )
        ),
        ("transfer_weights.py", "--source timm", {"--source": "timm"}),
        ("transfer_weights.py", "--model-name resnet101", {"--model-name": "resnet101"}),
        ("transfer_weights.py", "--dataset cifar100", {"--dataset": "cifar100"}),
        ("transfer_weights.py", "--depth 56", {"--depth": "56"}),
        ("transfer_weights.py", "--output o.pth.tar", {"--output": "o.pth.tar"}),
        ("transfer_weights.py", "--no-pretrained", {"--no-pretrained": True}),
        ("transfer_weights.py", "--weights w.pth", {"--weights": "w.pth"}),
        ("transfer_weights.py", "--arch resnet", {"--arch": "resnet"}),
        ("transfer_weights.py", "--strategy select", {"--strategy": "select"}),
        ("transfer_weights.py", "--num-classes 5", {"--num-classes": "5"}),
        ("transfer_weights.py", "--recalibrate 0", {"--recalibrate": "0"}),
        ("transfer_weights.py", "--report r.json", {"--report": "r.json"}),
        ("transfer_weights.py", "--verbose", {"--verbose": True}),
        ("transfer_weights.py", "--plot p.svg", {"--plot": "p.svg"}),
        ("transfer_weights.py", "--data-dir d", {"--data-dir": "d"}),
    ],
)
def test_every_flag(script: str, old: str, new: dict[str, str | bool]) -> None:
    _, positional, options = parsed(translate(script, shlex.split(old)))
    assert positional == []
    assert options == DEFAULTS[script] | new


@pytest.mark.parametrize("depth", ["", "--depth 164"])
@pytest.mark.parametrize("arch", ["torchvision/resnet50", "timm/resnet26d"])
def test_a_librarys_network_has_no_depth(arch: str, depth: str) -> None:
    changed = {**DEFAULTS["main.py"], "--arch": arch, "--stem": "cifar"}
    del changed["--depth"]
    assert parsed(translate("main.py", shlex.split(f"--arch {arch} --stem cifar {depth}")))[2] == changed


@pytest.mark.parametrize("script", ["main.py", *PRUNE])
def test_code_of_ones_own_has_no_depth(script: str) -> None:
    changed = {**DEFAULTS[script], "--arch": "mine.py:net"}
    del changed["--depth"]
    assert parsed(translate(script, shlex.split("--arch mine.py:net")))[2] == changed


@pytest.mark.parametrize("arch", ["torchvision/resnet50", "timm/resnet26d", "same"])
def test_a_librarys_network_keeps_its_classes_where_no_data_set_is_named(arch: str) -> None:
    kept = {name: DEFAULTS["transfer_weights.py"][name] for name in ("--source", "--model-name", "--output")}
    old = f"--arch {arch} --depth 164 --stem cifar"
    assert parsed(translate("transfer_weights.py", shlex.split(old)))[2] == {**kept, "--arch": arch, "--stem": "cifar"}
    assert parsed(translate("transfer_weights.py", shlex.split(f"--arch {arch} --dataset cifar100")))[2] == {
        **kept,
        "--arch": arch,
        "--dataset": "cifar100",
    }


@pytest.mark.parametrize("script", PRUNE)
def test_the_model_to_prune_is_positional_now(script: str) -> None:
    assert parsed(translate(script, ["--model", "m.pth.tar"])) == ("prune", ["m.pth.tar"], DEFAULTS[script])


@pytest.mark.parametrize("script", list(DEFAULTS))
def test_every_script_stands_in_the_root_and_names_itself(script: str) -> None:
    text = (Path(__file__).parents[2] / script).read_text()
    assert f'script("{script}")' in text
    assert f"python {script} --help" in text


@pytest.mark.parametrize("script", list(DEFAULTS))
@pytest.mark.parametrize("arguments", [["--epohcs", "3"], ["--dept", "11"], ["stray"]])
def test_unknown_flags_are_usage_errors(script: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        translate(script, arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{script}: error: ")
    assert arguments[0] in err
    assert err.endswith(f"({script} --help lists the flags)\n")


GUIDE = """
python transfer_weights.py --source torchvision --model-name resnet50 --dataset cifar10 --depth 164 \\
    --output transferred_resnet50.pth.tar
python transfer_weights.py --source timm --model-name resnet101 --dataset cifar100 --depth 164 \\
    --output transferred_resnet101_cifar100.pth.tar
python main.py --resume transferred_model.pth.tar --dataset cifar10 --arch resnet --depth 164 --epochs 160 --lr 0.1 \\
    --save ./fine_tuned_model
python main.py -sr --s 0.00001 --resume ./fine_tuned_model/model_best.pth.tar --dataset cifar10 --arch resnet \\
    --depth 164 --epochs 40 --lr 0.001 --save ./sparsity_trained_model
python resprune.py --dataset cifar10 --depth 164 --percent 0.4 --model ./sparsity_trained_model/model_best.pth.tar \\
    --save ./pruned_model
python main.py --refine ./pruned_model/pruned.pth.tar --dataset cifar10 --arch resnet --depth 164 --epochs 160 \\
    --save ./final_model
python main.py -sr --s 0.00001 --dataset cifar10 --arch resnet --depth 164 --epochs 160 --save ./sparsity_trained
"""


@pytest.mark.parametrize("block", re.sub(r"\\\n *", "", GUIDE).strip().splitlines())
def test_every_command_of_the_guide_is_a_valid_new_command(block: str) -> None:
    """Down to the configuration: parsed and validated as if it ran, and nothing is run."""
    from netslim.cli.options import command
    from netslim.core.config import StageConfig

    _, script, *arguments = shlex.split(block)
    verb, *rest = translate(script, arguments)
    settings, positional = VERBS[verb].stage.settings(), VERBS[verb].positional
    seen: list[StageConfig] = []
    single = typer.Typer(pretty_exceptions_enable=False)
    single.command()(command(settings, lambda build, *_: seen.append(build()), positional))
    with pytest.raises(SystemExit) as ended:
        single(rest)
    assert ended.value.code == 0
    given = dict(pairwise(arguments))
    config = seen[0].model_dump(mode="json")
    assert config["depth"] == 164
    assert config["dataset"] == given["--dataset"]
    assert config.get("sparsity_regularization", False) == ("-sr" in arguments)
    assert config.get("select_on", "test") == "test"
    for name in ("lr", "s", "percent", "epochs"):
        assert f"--{name}" not in given or config[name] == float(given[f"--{name}"])


def test_every_verb_is_listed_in_the_order_of_the_work() -> None:
    group = typer.main.get_command(app)
    assert group.list_commands(None) == [*VERBS]
    assert [*VERBS][:6] == ["slim", "transfer", "train", "prune", "sweep", "sensitivity"]
