from pathlib import Path
from typing import Any

import pydantic
import pytest

from netslim.core.config import Setting, StageConfig
from netslim.core.errors import UsageError


class Config(StageConfig):
    """A stage's settings."""

    model: Path = Setting(..., "checkpoint")
    lr: float = Setting(0.1, "learning rate", gt=0)
    epochs: int = Setting(160, "number of epochs", ge=1)
    nesterov: bool = Setting(False, "Nesterov momentum")
    name: str = Setting("digits", "data set")
    widths: list[int] | None = Setting(None, "widths")
    save: Path = Setting(Path("logs"), "folder", free=True)
    weight_decay: float = Setting(1e-4, "weight decay", ge=0, aliases=["--wd"])


class Several(StageConfig):
    """Settings with a list."""

    files: list[Path] = Setting(..., "files")


def build(**values: Any) -> Config:
    return Config.build({"model": "m.pth", **values})


def test_did_you_mean() -> None:
    with pytest.raises(UsageError, match=r"^unknown setting 'epoch'; did you mean epochs\? \(known: epochs, lr, model"):
        build(epoch=3)


def test_a_required_setting() -> None:
    with pytest.raises(UsageError, match=r"^`model` is required$"):
        Config.build({})


def test_all_mistakes_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Config.build({"lr": -1, "epochs": "many", "weight_decay": "nan", "nestrov": True, "weights": 1})
    assert str(caught.value).split("; ") == [
        "unknown setting 'nestrov'",
        "did you mean nesterov? (known: epochs, lr, model, name, nesterov, save, weight_decay, widths)",
        "unknown setting 'weights'",
        "did you mean weight_decay or widths? (known: epochs, lr, model, name, nesterov, save, weight_decay, widths)",
        "`model` is required",
        "`lr=-1`: input should be greater than 0",
        "`epochs='many'`: input should be a valid integer, unable to parse string as an integer",
        "`weight_decay='nan'`: input should be a finite number",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "-inf"])
def test_numbers_are_finite(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^`lr=.*`: input should be a finite number$"):
        build(lr=value)


def test_fixed_leaves_free_settings_out_and_is_plain_data() -> None:
    assert build(save="elsewhere", widths=[1, 2]).fixed() == {
        "model": "m.pth",
        "lr": 0.1,
        "epochs": 160,
        "nesterov": False,
        "name": "digits",
        "widths": [1, 2],
        "weight_decay": 1e-4,
    }


def test_frozen() -> None:
    config = build()
    with pytest.raises(pydantic.ValidationError, match=r"frozen"):
        config.lr = 0.5
    assert config.lr == 0.1


def test_help_and_aliases_reach_the_command_line() -> None:
    field = Config.model_fields["weight_decay"]
    assert field.description == "weight decay"
    assert isinstance(field.json_schema_extra, dict)
    assert (field.json_schema_extra["free"], field.json_schema_extra["aliases"]) == (False, ["--wd"])


def test_changed_is_what_differs_from_the_defaults_as_plain_data() -> None:
    assert build(epochs=160, lr=0.2, save="runs/a").changed() == {"model": "m.pth", "lr": 0.2, "save": "runs/a"}


def test_an_empty_path_is_none() -> None:
    with pytest.raises(UsageError, match=r"input should be a path \(this folder is \.\)"):
        build(save="")
    assert build(save=".").save == Path()


def test_home_is_known_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert build(save="~/runs").save == Path("/somewhere/runs")
    assert Several(files=[Path("~/a"), Path("b")]).files == [Path("/somewhere/a"), Path("b")]
    assert build(save="~nobody-of-this-name/runs").save == Path("~nobody-of-this-name/runs")
