from pathlib import Path
from typing import Any

import pydantic
import pytest

from netslim.core.config import Setting, StageConfig, merge
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
    weight_decay: float = Setting(1e-4, "weight decay", ge=0, flags=["--wd"])


def build(**values: Any) -> Config:
    return Config.build({"model": "m.pth", **values})


@pytest.mark.parametrize(
    ("assignments", "flags", "lr"),
    [([], {}, 0.2), (["lr=0.3"], {}, 0.3), (["lr=0.3"], {"lr": 0.4}, 0.4), (["lr=0.3", "lr=0.5"], {}, 0.5)],
)
def test_the_later_wins(tmp_path: Path, assignments: list[str], flags: dict[str, Any], lr: float) -> None:
    file = tmp_path / "run.toml"
    file.write_text('lr = 0.2\nweight-decay = 0.5\nname = "Zürich"\n', encoding="utf-8")
    config = build(**merge(file, assignments, flags))
    assert config.lr == lr
    assert config.weight_decay == 0.5  # names with hyphens, as on the command line
    assert config.name == "Zürich"
    assert config.epochs == 160  # nobody gave it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.05", 0.05),
        ("1e-4", 1e-4),
        ("3", 3),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"true"', "true"),
        ("fashion-mnist", "fashion-mnist"),
        ("runs/a=b", "runs/a=b"),
        (" spaced out ", "spaced out"),
        ("", ""),
        ("2026-11-22", "2026-11-22"),
        ("07:32:00", "07:32:00"),
        ("2026-11-22 07:32:00", "2026-11-22 07:32:00"),
    ],
)
def test_values_of_set(text: str, value: Any) -> None:
    merged = merge(None, [f"some-name = {text}" if text else "some-name="], {})
    assert merged == {"some_name": value}
    assert type(merged["some_name"]) is type(value)


def test_a_folder_named_by_its_date() -> None:
    assert build(**merge(None, ["save=2026-11-22"], {})).save == Path("2026-11-22")


def test_set_without_a_value() -> None:
    with pytest.raises(UsageError, match=r"^--set takes key=value, got 'lr'; type for example --set lr=0\.05$"):
        merge(None, ["lr"], {})


def test_a_config_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot read the config file .*no.toml: No such file or directory$"):
        merge(tmp_path / "no.toml", [], {})
    with pytest.raises(UsageError, match=r"^cannot read the config file .*: it is a folder$"):
        merge(tmp_path, [], {})


@pytest.mark.parametrize("content", [b"lr 0.1", b"\xff\xfe", b"lr = 0.1\nlr = 0.2"])
def test_a_config_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"bad.toml is not valid TOML: "):
        merge(tmp_path / "bad.toml", [], {})


def test_did_you_mean() -> None:
    with pytest.raises(UsageError, match=r"^unknown setting 'epoch'; did you mean epochs\? \(known: epochs, lr, model"):
        build(epoch=3)


def test_a_required_setting() -> None:
    with pytest.raises(UsageError, match=r"^--model is required$"):
        Config.build({})


def test_all_mistakes_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        Config.build({"lr": -1, "epochs": "many", "weight_decay": "nan", "nestrov": True, "weights": 1})
    assert str(caught.value).split("; ") == [
        "unknown setting 'nestrov'",
        "did you mean nesterov? (known: epochs, lr, model, name, nesterov, save, weight_decay, widths)",
        "unknown setting 'weights'",
        "did you mean weight_decay or widths? (known: epochs, lr, model, name, nesterov, save, weight_decay, widths)",
        "--model is required",
        "--lr -1: input should be greater than 0",
        "--epochs many: input should be a valid integer, unable to parse string as an integer",
        "--weight-decay nan: input should be a finite number",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "-inf"])
def test_numbers_are_finite(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^--lr .*: input should be a finite number$"):
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


def test_help_and_flags_reach_the_command_line() -> None:
    field = Config.model_fields["weight_decay"]
    assert field.description == "weight decay"
    assert isinstance(field.json_schema_extra, dict)
    assert (field.json_schema_extra["free"], field.json_schema_extra["flags"]) == (False, ["--wd"])
