"""Tables of times, and what they are of."""

from dataclasses import replace
from pathlib import Path

import pytest

from netslim.core.errors import CheckpointError, NetslimWarning, UsageError
from netslim.deploy.latency.table import (
    Conditions,
    Table,
    check_same,
    grid,
    kept_at,
    read_table,
    remember,
    remembered,
)

HERE = Conditions(engine="onnxruntime", version="1.0", processor="A", threads=2, batch=1, step=16)


def test_a_table_comes_back(tmp_path: Path) -> None:
    table = Table(HERE, drift=0.1)
    table.add("conv", (8, 16), 1e-5)
    assert table.lacks("conv", (8, 32))
    assert not table.lacks("conv", (8, 16))
    table.write(tmp_path / "new" / "table.json")
    assert read_table(tmp_path / "new" / "table.json") == table


def test_a_table_from_before_there_was_int8_is_of_floats(tmp_path: Path) -> None:
    Table(HERE).write(tmp_path / "table.json")
    (tmp_path / "table.json").write_text((tmp_path / "table.json").read_text().replace('"int8": false,', ""))
    assert read_table(tmp_path / "table.json") == Table(HERE)


def test_what_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        read_table(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is no table of latencies; `netslim profile MODEL` makes one"):
        read_table(tmp_path / "other.json")


def test_the_cache_has_a_file_for_all_conditions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = kept_at(HERE)
    assert path.parent == tmp_path / "netslim" / "latency"
    others = [replace(HERE, **{name: value}) for name, value in (("version", "2"), ("processor", "B"), ("int8", True))]
    assert len({path, *map(kept_at, others)}) == 4


def test_a_cache_that_is_of_no_use_is_said_and_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept_at(HERE).parent.mkdir(parents=True)
    kept_at(HERE).write_text("[")
    with pytest.warns(NetslimWarning, match=r"is no table of latencies.*: the times are measured again$"):
        assert remembered(HERE) == Table(HERE)
    remember(Table(HERE, drift=0.2))
    assert remembered(HERE).drift == 0.2
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(NetslimWarning, match=r"^the times are not remembered: .*file is a file, and a folder is needed"):
        remember(Table(HERE))


def test_a_table_of_other_conditions_is_named() -> None:
    path = Path("t.json")
    assert check_same(path, Table(HERE), HERE)
    assert not check_same(path, Table(replace(HERE, processor="B", version="9")), HERE)
    with pytest.raises(UsageError) as caught:
        check_same(path, Table(replace(HERE, version="0.9")), HERE)
    assert str(caught.value) == (
        "t.json was measured with onnxruntime 0.9, and here is 1.0: measure again (`netslim profile`), or leave "
        "`table` out"
    )
    with pytest.raises(UsageError) as caught:
        check_same(path, Table(replace(HERE, batch=16)), HERE)
    assert str(caught.value) == (
        "t.json is of batch 16, and 1 was asked for; type `latency_batch=16`, or another table"
    )


def test_few_widths_on_the_engines_steps() -> None:
    assert grid(256, True, 16) == (8, 16, 32, 64, 128, 192, 256)
    assert grid(24, True, 16) == (8, 16, 24)
    assert grid(16, True, 16) == (8, 16)
    assert grid(6, True, 16) == (6,)
    assert grid(100, False, 16) == (100,)
