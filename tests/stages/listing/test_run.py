"""`netslim list`."""

import re
import subprocess
import sys

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.models import create_model
from netslim.pruning import plan
from netslim.pruning.criteria import CRITERIA
from netslim.stages.listing.config import ALL, ListConfig
from netslim.stages.listing.run import WITHOUT_NORMS, run


def names(kind: str | None = None, pattern: str | None = None) -> list[str]:
    found: list[str] = run(ListConfig(kind=kind, pattern=pattern))["names"]
    return found


def test_without_a_kind_the_kinds() -> None:
    assert names() == list(ALL)


def test_the_names_are_the_registrys(capsys: pytest.CaptureFixture[str]) -> None:
    assert names("criteria") == CRITERIA.names()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == CRITERIA.names()
    assert names("schedules") == ["cosine", "onecycle", "step"]
    assert names("sources") == ["timm", "torchvision"]


def test_what_they_say_of_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    names("penalties")
    assert "proximal      L1 with exact zeros" in capsys.readouterr().out.splitlines()


def test_models_by_a_pattern_or_a_part_of_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert names("models", "*vision/resnet5*") == ["torchvision/resnet50"]
    assert {"timm/resnet18", "torchvision/resnet18", "timm/seresnet18"} <= set(names("models", "resnet18"))
    assert names("models", "resnet5?")[-1] == "torchvision/resnet50"
    assert names("models", "vgg")[0] == "vgg"
    capsys.readouterr()
    every = names("models")
    assert capsys.readouterr().out.splitlines()[-1] == f"{len(every):,} models{WITHOUT_NORMS}"
    names("models", "torchvision/vit_b_16")  # one of them
    assert capsys.readouterr().out.splitlines()[-1] == f"1 models{WITHOUT_NORMS}"
    names("models", "[dr]e*[!/]net")
    assert WITHOUT_NORMS not in capsys.readouterr().out
    assert len(every) > 1000


def test_what_is_said_of_networks_without_batchnorm_is_so() -> None:
    model = create_model("timm/convnext_atto", num_classes=2)
    (criterion,) = re.findall(r"`criterion='(\w+)'`", WITHOUT_NORMS)
    found = plan(model, torch.zeros(2, 3, 32, 32), percent=0.3, criterion=criterion)
    assert found.after.macs < found.before.macs


def test_nothing_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert names("criteria", "none*") == []
    assert capsys.readouterr().out == "0 criteria\n"


def test_an_unknown_kind() -> None:
    with pytest.raises(UsageError, match=r"^unknown kind 'modles'; did you mean models or schedules"):
        names("modles")


def test_plug_ins_are_listed_without_torch() -> None:
    program = (
        "import sys\nfrom netslim.cli.app import main\n"
        "try:\n    main(['list', 'criteria'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "bn_scale" in done.stdout
