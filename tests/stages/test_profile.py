"""`netslim profile`: a table from another machine, and the plan by it; nothing is measured.

Not in a folder of its own: it would hide the standard library's `profile`.
"""

import json
from pathlib import Path

import pytest

import netslim
from netslim.core.errors import UsageError
from netslim.stages.profile.config import ProfileConfig
from netslim.stages.profile.run import run
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.run import run as prune


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network's file."""
    path = tmp_path_factory.mktemp("network") / "net.pth.tar"
    netslim.save(path, netslim.create_model("resnet", depth=11, num_classes=3, in_channels=1))
    return path


def filled_in(folder: Path) -> Path:
    """Times as on a machine whose parts take as long as they are wide, all widths together."""
    parts = json.loads((folder / "pieces.json").read_text())
    lines = ["# processor: phone", "file,seconds", *(f"{own['file']},{sum(own['widths']) * 1e-6}" for own in parts)]
    (folder / "times.csv").write_text("\n".join([*lines, "empty.onnx,0"]))
    return folder / "times.csv"


def test_there_and_back(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts, table = tmp_path / "parts", tmp_path / "phone.json"
    common = {"model": network, "threads": 2, "batch_size": 4, "residual": "couple"}
    written = run(ProfileConfig.build({**common, "export_to": parts}))
    assert written["pieces"] == len(list(parts.glob("*.onnx"))) - 1
    found = run(ProfileConfig.build({**common, "import_from": filled_in(parts), "save": table}))
    assert found["table"] == str(table)
    assert found["seconds"] > 0
    asked = {"engine": "onnxruntime", "threads": 2, "latency_batch": 4, "residual": "couple", "criterion": "l2_norm"}
    pruned = prune(
        PruneConfig.build({**asked, "model": network, "table": table, "target_latency": 0.8, "save": tmp_path / "out"})
    )
    budget = pruned["budget"]
    assert (budget["measured"], budget["engine"], budget["batch"], budget["threads"]) == (False, "onnxruntime", 4, 2)
    assert budget["reached"] <= 0.8 * budget["dense"]
    said = capsys.readouterr().out.replace("\n", " ")
    assert "phone" in said
    assert "onnxruntime at batch 4 on 2 threads, predicted by the table alone" in said


def test_what_is_written_and_read() -> None:
    config = ProfileConfig(model=Path("a.pth.tar"), export_to=Path("parts"), save=Path("t.json"))
    assert [use.path for use in config.reads()] == [Path("a.pth.tar")]
    assert [use.path for use in config.writes()] == [Path("parts"), Path("t.json")]


def test_one_thing_at_a_time(network: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one after the other"):
        run(ProfileConfig(model=network, export_to=tmp_path / "a", import_from=tmp_path / "b"))
    for other in ({"engine": "eager"}, {"int8": True}):
        with pytest.raises(UsageError, match="writes parts as ONNX files in float: for `engine='onnxruntime'` or"):
            run(ProfileConfig.build({"model": network, "export_to": tmp_path / "a", **other}))
    with pytest.raises(UsageError, match="has no place here: type `save=table"):
        run(ProfileConfig(model=network, import_from=tmp_path / "b"))
