from pathlib import Path
from typing import Any

import pytest

from netslim.cli.config_file import merge
from netslim.core.config import Setting, StageConfig
from netslim.core.errors import UsageError


class Config(StageConfig):
    """Some settings."""

    lr: float = Setting(0.1, "learning rate", gt=0)
    epochs: int = Setting(160, "number of epochs", ge=1)
    name: str = Setting("digits", "data set")
    save: Path = Setting(Path("logs"), "folder", free=True)
    weight_decay: float = Setting(1e-4, "weight decay", ge=0)


@pytest.mark.parametrize(
    ("assignments", "flags", "lr"),
    [([], {}, 0.2), (["lr=0.3"], {}, 0.3), (["lr=0.3"], {"lr": 0.4}, 0.4)],
)
def test_the_later_wins(tmp_path: Path, assignments: list[str], flags: dict[str, Any], lr: float) -> None:
    file = tmp_path / "run.toml"
    file.write_text('lr = 0.2\nweight-decay = 0.5\nname = "Zürich"\n', encoding="utf-8")
    config = Config.build(merge(file, assignments, flags))
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


def test_names_of_steps_keep_their_hyphens() -> None:
    assert merge(None, ["my-step.target-macs=0.5"], {}) == {"my-step.target_macs": 0.5}


@pytest.mark.parametrize("spelled", ["small.target-macs", "small.target_macs"])
def test_a_setting_is_set_once(spelled: str) -> None:
    message = f"^--set {spelled}=0.4: small.target_macs is set already; leave one of the two out$"
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        merge(None, ["small.target-macs=0.3", f"{spelled}=0.4"], {})


def test_a_folder_named_by_its_date() -> None:
    assert Config.build(merge(None, ["save=2026-11-22"], {})).save == Path("2026-11-22")


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
