"""Files are opened without trust: no code of theirs runs, and what is damaged is never taken for what was written."""

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exported_networks import IMAGES, outputs, randomised
from torch import Tensor, nn

import netslim
from netslim.core.errors import CheckpointError, UsageError
from netslim.deploy.opening import Opened, open_file

KINDS = {"onnx": "net.onnx", "pt2": "net.pt2", "eager": "code", "safetensors": "net"}
PROGRAM, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small network as every kind of file."""
    folder = tmp_path_factory.mktemp("exports")
    cfg = [2, "M", 2, "M", 3, 2, "M", 2, 3, "M", 2, 2]
    model = randomised(netslim.create_model("vgg", depth=11, num_classes=2, cfg=cfg))
    for target, name in KINDS.items():
        netslim.export(model, IMAGES, folder / name, target)
    return folder


def opened(path: Path, trust: bool = True) -> Opened:
    return open_file(path, netslim.load, trust)


def result(file: Opened) -> Tensor:
    if file.model is not None:
        return outputs(file.model, IMAGES)
    found = file.call(file.engines[0], IMAGES, None, 1)()
    assert isinstance(found, Tensor)
    return found.detach()


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("flips", [40, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_flipped_bit_is_found_or_changes_nothing(exports: Path, tmp_path: Path, target: str, flips: int) -> None:
    source, chance = exports / KINDS[target], random.Random(f"{target} {flips}")  # noqa: S311 - the same flips every time
    right, refused = result(opened(source)), 0
    files = {file: file.read_bytes() for file in (source.iterdir() if source.is_dir() else [source])}
    place = tmp_path / source.name
    for _ in range(flips):
        changed = chance.choices([*files], [len(content) for content in files.values()])[0]
        for file, content in files.items():
            data = bytearray(content)
            if file is changed:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            copy = place / file.name if source.is_dir() else place
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(data)
        try:
            found = result(opened(place))
        except CheckpointError:
            refused += 1
        else:
            assert torch.equal(found, right)
    assert refused > 0.7 * flips


def test_code_in_a_folder_is_not_run_without_trust(exports: Path, tmp_path: Path) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    for file in (exports / "code").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    code = folder / "network.py"
    code.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n" + code.read_text())
    with pytest.raises(UsageError) as caught:
        opened(folder, trust=False)
    assert str(caught.value) == (
        f"{folder} holds code, which runs only if you trust where it is from: type `trust=True`"
    )
    with pytest.raises(CheckpointError, match=r"network\.py is damaged: its hash is not the one in config\.json"):
        opened(folder, trust=True)
    assert not (tmp_path / "ran").exists()


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return (open, (str(self.path), "w"))


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes], **more: bytes) -> Path:
    """An archive with other contents, and without netslim's hash."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            name = entry.filename.partition("/")[2]
            if name != "extra/netslim.sha256":
                new.writestr(f"archive/{name}", change(name, old.read(entry)))
        for name, content in more.items():
            new.writestr(f"archive/{name}", content)
    return target


def edited(entry: str, old: str, new: str) -> Callable[[str, bytes], bytes]:
    return lambda name, data: data.replace(old.encode(), new.encode()) if name == entry else data


def same(name: str, data: bytes) -> bytes:
    return data


def test_an_archive_is_never_unpickled(exports: Path, tmp_path: Path) -> None:
    bomb = io.BytesIO()
    torch.save(Touch(tmp_path / "ran"), bomb)
    samples = "data/sample_inputs/model.pt"
    put = rewritten(
        exports / "net.pt2", tmp_path / "samples.pt2", lambda name, data: bomb.getvalue() if name == samples else data
    )
    assert torch.equal(result(opened(put)), result(opened(exports / "net.pt2"))), "sample inputs are left out"
    names = "data/weights/model.pt", "data/constants/opaque_obj_0", "data/aotinductor/model/a.so"
    for number, extra in enumerate(names):
        content = pickle.dumps(Touch(tmp_path / "ran"))
        put = rewritten(exports / "net.pt2", tmp_path / f"{number}.pt2", same, **{extra: content})
        with pytest.raises(CheckpointError, match=f"it holds {extra}, which is neither raw weights nor a graph"):
            opened(put)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("entry", "old", "new", "message"),
    [
        (WEIGHTS, '"use_pickle": false', '"use_pickle": true', "is pickled, and pickled code is never run"),
        (WEIGHTS, '"weight_0"', '"../weight_0"', "is pickled, and pickled code is never run"),
        (PROGRAM, "torch.ops.aten.conv2d.default", "torch.os.system", "'torch.os.system' is no operator of a network"),
        (PROGRAM, "torch.ops.aten.conv2d.default", "torch.ops.aten.from_file.default", "is no operator of a network"),
        (PROGRAM, "Symbol('", "__import__('os').system('", "is no size"),
        (PROGRAM, "Symbol('s", "Add('s", "is no size"),
    ],
)
def test_an_archive_with_anything_but_a_graph(
    exports: Path, tmp_path: Path, entry: str, old: str, new: str, message: str
) -> None:
    put = rewritten(exports / "net.pt2", tmp_path / "net.pt2", edited(entry, old, new))
    with pytest.raises(CheckpointError, match="is refused: ") as caught:
        opened(put)
    assert message in str(caught.value)


def test_an_archive_that_names_a_file_twice(exports: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        put = rewritten(exports / "net.pt2", tmp_path / "net.pt2", same, **{"data/weights/weight_0": b"1234"})
    with pytest.raises(CheckpointError, match="refused: data/weights/weight_0 is there twice"):
        opened(put)


def test_archives_of_earlier_versions_open(exports: Path, tmp_path: Path) -> None:
    put = rewritten(exports / "net.pt2", tmp_path / "net.pt2", same)
    assert torch.equal(result(opened(put)), result(opened(exports / "net.pt2")))


def test_an_onnx_file_that_another_program_changed(exports: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(exports / "net.onnx")
    assert json.loads({entry.key: entry.value for entry in model.metadata_props}["netslim"])["target"] == "onnx"
    model.doc_string = "mine"
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(CheckpointError, match="is damaged, or another program changed it"):
        opened(tmp_path / "net.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "net.onnx")
    assert torch.equal(result(opened(tmp_path / "net.onnx")), result(opened(exports / "net.onnx")))


def test_an_onnx_file_of_several_inputs(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")

    class Sum(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a + b

    netslim.export(Sum(), (IMAGES, IMAGES), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="takes 2 inputs: only networks of one can be compared"):
        opened(tmp_path / "net.onnx")


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such"):
        opened(tmp_path / "net.pt2")
