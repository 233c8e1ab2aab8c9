import argparse
import builtins
import functools
import gzip
import importlib
import io
import operator
import os
import pickle
import random
import runpy
import shutil
import subprocess
import tarfile
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from netslim.core.archive import archive_bytes, read_archive, write_archive
from netslim.core.errors import CheckpointError


def network_state() -> dict[str, Any]:
    """What a training run saves: weights, momentum, random state, configuration."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    momentum = {n: {"momentum_buffer": torch.randn_like(p).detach()} for n, p in enumerate(model.parameters())}
    return {
        "state_dict": dict(model.state_dict()),
        "optimizer": {"state": momentum, "param_groups": [{"lr": 0.1, "nesterov": False, "params": list(momentum)}]},
        "epoch": 3,
        "best_prec1": 0.5,
        "cfg": [4, 2],
        "netslim": {
            "format": 1,
            "arch": {"name": "resnet"},
            "plan": None,
            "training": {"rng": torch.get_rng_state()[:80]},
        },
    }


def saved(data: Any, *, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def same(one: Any, other: Any) -> bool:
    """Equal in value, type and order; tensors bit by bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        kind, bits = (one.dtype, one.shape), one.numpy().tobytes()
        return kind == (other.dtype, other.shape) and bits == bytes(other.numpy().tobytes())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def load(folder: Path, content: bytes) -> dict[str, Any]:
    file = folder / "file.pth.tar"
    file.write_bytes(content)
    return read_archive(file)


def test_round_trip(tmp_path: Path) -> None:
    data = network_state()
    write_archive(tmp_path / "a.pth", data)
    assert same(read_archive(tmp_path / "a.pth"), data)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.pth"]


@pytest.mark.parametrize("legacy", [False, True])
def test_containers_become_plain(tmp_path: Path, legacy: bool) -> None:
    data = {
        "nested": (1, (2, [3, (4,)])),
        "ordered": OrderedDict(b=1, a=(2,)),
        "size": torch.Size([2, 3]),
        "counter": Counter("aab"),
        "set": {7},
        "scalars": [None, True, 1, 0.5, "text", b"bytes", 1j],
        "parameter": nn.Parameter(torch.ones(2)),
        "transposed": torch.arange(6).view(2, 3).t(),
        "empty": torch.empty(0, 3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        5: "a key that is no string",
    }
    got = load(tmp_path, saved(data, legacy=legacy))
    assert got["nested"] == [1, [2, [3, [4]]]]
    assert type(got["ordered"]) is dict
    assert list(got["ordered"].items()) == [("b", 1), ("a", [2])]
    assert got["size"] == [2, 3]
    assert got["counter"] == {"a": 2, "b": 1}
    assert got["set"] == [7]
    assert got["scalars"] == [None, True, 1, 0.5, "text", b"bytes", 1j]
    assert type(got["parameter"]) is Tensor
    assert not got["parameter"].requires_grad
    assert got["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert got["empty"].shape == (0, 3)
    assert got["half"].dtype == torch.bfloat16
    assert got["5"] == "a key that is no string"


def damaged_copies(whole: bytes, count: int, damage: Callable[[bytearray, random.Random], None]) -> list[bytes]:
    source = random.Random(0)  # noqa: S311 - the same damage in every run
    copies = []
    for _ in range(count):
        copy = bytearray(whole)
        damage(copy, source)
        copies.append(bytes(copy))
    return copies


def flip_a_bit(data: bytearray, source: random.Random) -> None:
    data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def overwrite_a_run(data: bytearray, source: random.Random) -> None:
    start, length = source.randrange(len(data)), source.randrange(1, 64)
    data[start : start + length] = source.randbytes(len(data[start : start + length]))


def cut_out_a_run(data: bytearray, source: random.Random) -> None:
    start = source.randrange(len(data))
    del data[start : start + source.randrange(1, 64)]


def zero_to_the_end(data: bytearray, source: random.Random) -> None:
    start = source.randrange(len(data))
    data[start:] = bytes(len(data) - start)


@pytest.mark.parametrize(
    ("damage", "count", "harmless"),
    [(flip_a_bit, 1_600, 0.25), (overwrite_a_run, 200, 0.1), (cut_out_a_run, 100, 0.0), (zero_to_the_end, 100, 0.02)],
)
def test_damage_is_found_or_harmless(
    tmp_path: Path, damage: Callable[[bytearray, random.Random], None], count: int, harmless: float
) -> None:
    whole = archive_bytes(network_state())
    data = load(tmp_path, whole)
    untouched = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of pickle protocols that the damage made up
        for copy in damaged_copies(whole, count, damage):
            try:
                got = load(tmp_path, copy)
            except CheckpointError:
                continue
            assert same(got, data)
            untouched += 1
    assert untouched <= harmless * count  # padding and the fields that nobody reads


def test_cut_off_anywhere(tmp_path: Path) -> None:
    whole = archive_bytes(network_state())
    for length in (0, 1, 2, 3, 4, *range(5, len(whole), 89), len(whole) - 1):
        with pytest.raises(CheckpointError, match=r"^[^\n]*is damaged[^\n]*$"):
            load(tmp_path, whole[:length])


def test_every_bit_of_a_directory_entry(tmp_path: Path) -> None:
    """No checksum covers the archive's directory, and torch believes it."""
    data = {"weight": torch.full((3,), 1.5)}
    whole = archive_bytes(data)
    name = whole.rindex(b"archive/data/0")
    for position, bit in product([*range(name - 46, name + 14), *range(len(whole) - 22, len(whole))], range(8)):
        copy = bytearray(whole)
        copy[position] ^= 1 << bit
        try:
            got = load(tmp_path, bytes(copy))
        except CheckpointError:
            continue
        assert same(got, data), (position, bit)


def test_an_entry_marked_as_a_folder(tmp_path: Path) -> None:
    whole = bytearray(archive_bytes({"weight": torch.full((3,), 1.5)}))
    entry = whole.rindex(b"archive/data/0")  # its name ends the fixed part of its entry in the directory
    whole[entry - 8] |= 0x10
    with pytest.raises(CheckpointError, match=r"file.pth.tar is damaged: a file in the archive is marked as a folder$"):
        load(tmp_path, bytes(whole))


def test_a_wrong_checksum_names_its_entry(tmp_path: Path) -> None:
    whole = bytearray(archive_bytes({"weight": torch.full((8,), 1.5)}))
    whole[whole.index(torch.full((8,), 1.5).numpy().tobytes())] ^= 1
    with pytest.raises(CheckpointError, match=r"file.pth.tar is damaged: the checksum of archive/data/0 is wrong$"):
        load(tmp_path, bytes(whole))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is damaged or no torch checkpoint: it is empty$"),
        (b"hello world\n" * 9, "is damaged or no torch checkpoint$"),
        (
            b'<?xml version="1.0"?><net/>' * 9,
            "is damaged or no torch checkpoint: it is XML: of an exported folder type its",
        ),
        (b"<!DOCTYPE html><title>404</title>" * 9, "is damaged or no torch checkpoint: it is a web page: its download"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is damaged or no torch checkpoint: it is a pointer of Git LFS",
        ),
        (b'{"a": 1}', "is damaged or no torch checkpoint: it is JSON$"),
        (gzip.compress(saved({})), "is damaged or no torch checkpoint: it is packed: type gunzip first$"),
        (b"PK", "is damaged: the archive is cut off$"),
        (zipped({"readme.txt": b"hello"}), "is damaged or no torch checkpoint"),
        (zipped({"folder/readme.txt": b"hello"}), "is damaged or no torch checkpoint"),
        (zipped({"folder/inner.pth": saved({})}), "is damaged or no torch checkpoint"),
        (zipped({}), "is damaged: the archive is cut off$"),
        (zipped({"archive/data.pkl": bytes(9_999)}, zipfile.ZIP_DEFLATED), "was refused: torch archives are not compr"),
        (saved(torch.ones(2)), "holds a Tensor, not a dict with a state_dict$"),
        (saved([1]), "holds a list, not a dict with a state_dict$"),
        (saved([1], legacy=True), "holds a list, not a dict with a state_dict$"),
    ],
)
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes, text: str) -> None:
    with pytest.raises(CheckpointError, match=f"file.pth.tar {text}"):
        load(tmp_path, content)


def test_a_tar_of_the_oldest_torch(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(CheckpointError, match=r"file.pth.tar (was refused|is damaged or no torch checkpoint)"):
        load(tmp_path, buffer.getvalue())


def test_missing_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: .*missing.pth$"):
        read_archive(tmp_path / "missing.pth")
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: .* \(it is a folder\)$"):
        read_archive(tmp_path)


def test_a_file_that_opens_but_cannot_be_read() -> None:
    file = Path("/proc/self/mem")
    if not file.is_file():
        pytest.skip("needs Linux")
    with pytest.raises(
        CheckpointError, match=r"^/proc/self/mem is damaged or no torch checkpoint: .*Input/output error"
    ):
        read_archive(file)


def contains_itself() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


def nested(depth: int) -> list[Any]:
    data: list[Any] = []
    for _ in range(depth):
        data = [data]
    return data


def doubles(times: int) -> list[Any]:
    """A list of 2^times empty lists in a few bytes."""
    data: list[Any] = []
    for _ in range(times):
        data = [data, data]
    return data


@pytest.mark.filterwarnings("ignore:.*(quantize|parse CSR|TypedStorage|invariants)")
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: torch.eye(3).to_sparse(), r"it holds a tensor that is not dense \(torch.sparse_coo\)"),
        (lambda: torch.eye(3).to_sparse_csr(), r"it holds a tensor that is not dense \(torch.sparse_csr\)"),
        (
            lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            r"it holds a tensor without plain numbers \(torch.qint8 on cpu\)",
        ),
        (
            lambda: torch.ones(3, device="meta"),
            r"it holds a tensor without plain numbers \(torch.float32 on meta\)",
        ),
        (lambda: torch.ones(1).expand(1 << 40), r"a tensor of shape \(1099511627776,\) is larger than the file"),
        (
            lambda: torch.ones(()).expand(1 << 15, 1 << 15),
            r"a tensor of shape \(32768, 32768\) is larger than the file",
        ),
        (lambda: torch.float16, "it holds a dtype"),
        (lambda: torch.device("cpu"), "it holds a device"),
        (lambda: bytearray(b"x"), "it holds a bytearray"),
        (lambda: torch.ones(2).untyped_storage(), "it holds a TypedStorage"),
        (contains_itself, "its data repeats or is nested without end"),
        (lambda: doubles(60), "its data repeats or is nested without end"),
        (
            lambda: nested(300),
            "its data repeats or is nested without end",
        ),
    ],
)
def test_what_is_no_plain_data(tmp_path: Path, make: Callable[[], Any], text: str) -> None:
    with pytest.raises(CheckpointError, match=f"file.pth.tar was refused: {text}$"):
        load(tmp_path, saved({"state_dict": {"deep": [make()]}}))


class Call:
    """Pickled, it asks the reader to call a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def dangerous(canary: Path) -> dict[str, Any]:
    """Objects that make `canary` when they are unpickled without care."""
    program = canary.with_name("program.py")
    program.write_text(f"open({str(canary)!r}, 'w')")
    touch = f"touch {canary}"
    return {
        "os.system": Call(os.system, touch),
        "os.popen": Call(os.popen, touch),
        "eval": Call(eval, f"open({str(canary)!r}, 'w')"),
        "exec": Call(exec, f"open({str(canary)!r}, 'w')"),
        "open": Call(open, str(canary), "w"),
        "runpy": Call(runpy.run_path, str(program)),
        "subprocess": Call(subprocess.check_call, ["touch", str(canary)]),
        "shutil": Call(shutil.copy, str(program), str(canary)),
        "pathlib": Call(Path.touch, canary),
        "partial": Call(functools.partial(os.system, touch)),
        "methodcaller": Call(operator.methodcaller("touch"), canary),
        "map": Call(list, Call(map, os.system, [touch])),
        "numpy": Call(np.save, str(canary.with_suffix("")), np.ones(1)),
    }


def harmless() -> dict[str, Any]:
    """Objects that do nothing when they are unpickled, and that a checkpoint has no need of all the same."""
    return {
        "Namespace": argparse.Namespace(lr=0.1),
        "array": np.ones(3),
        "number": np.float64(3),
        "module": nn.Linear(2, 2),
        "path": Path("x"),
        "class": argparse.ArgumentParser,
        "getattr": Call(getattr, "text", "upper"),
        "import": Call(importlib.import_module, "antigravity_is_not_imported"),
        "hub": Call(torch.hub.load_state_dict_from_url, "http://127.0.0.1:9/x.pth"),
        "load": Call(torch.load, "x.pth"),
        "input": Call(builtins.input, "?"),
    }


def hand_written(canary: Path) -> dict[str, bytes]:
    """Pickles in opcodes that Python's own pickler never writes."""
    touch = f"touch {canary}".encode()
    return {
        "reduce": b"cposix\nsystem\n(V" + touch + b"\ntR.",
        "inst": b"(V" + touch + b"\niposix\nsystem\n.",
        "obj": b"(cposix\nsystem\nV" + touch + b"\no.",
        "stack global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93V" + touch + b"\n\x85R.",
        "python 2": b"c__builtin__\nexec\n(Vopen(" + repr(str(canary)).encode() + b", 'w')\ntR.",
        "in a dict": b"}Vkey\ncposix\nsystem\n(V" + touch + b"\ntRs.",
        "dropped": b"cposix\nsystem\n(V" + touch + b"\ntR0}.",
        "getattr": b"c__builtin__\ngetattr\n(cposix\n__dict__\nVget\ntR(Vsystem\ntR(V" + touch + b"\ntR.",
        "build": b"cposix\nsystem\n(V" + touch + b"\ntR}b.",
    }


def as_zip(payload: bytes) -> bytes:
    return zipped({"archive/data.pkl": payload, "archive/byteorder": b"little", "archive/version": b"3\n"})


def as_legacy(payload: bytes) -> bytes:
    return payload


def as_late_legacy(payload: bytes) -> bytes:
    """After the three pickles (magic number, protocol, machine) that begin a file of torch before 1.6."""
    start = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    return b"".join(pickle.dumps(item, 2) for item in start) + payload


FORMATS = [as_zip, as_legacy, as_late_legacy]
PROTOCOLS = [0, 2, 4]


def check_refused(folder: Path, content: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"file.pth.tar was refused: .*pickled code.* never run$"):
        load(folder, content)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that only a payload would make."""
    return tmp_path / "canary.npy"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("wrap", FORMATS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_is_never_run(tmp_path: Path, canary: Path, wrap: Callable[[bytes], bytes], protocol: int) -> None:
    for payload in (dangerous(canary) | harmless()).values():
        check_refused(tmp_path, wrap(pickle.dumps({"state_dict": payload}, protocol)))
        assert not canary.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("wrap", FORMATS)
def test_code_in_rare_opcodes_is_never_run(tmp_path: Path, canary: Path, wrap: Callable[[bytes], bytes]) -> None:
    for payload in hand_written(canary).values():
        check_refused(tmp_path, wrap(payload))
        assert not canary.exists()


@pytest.mark.skipif(os.name != "posix", reason="the payloads are for POSIX")
def test_the_payloads_are_live(canary: Path) -> None:
    """Without this, the tests above could pass because a payload is broken."""
    payloads = {name: pickle.dumps(call, 2) for name, call in dangerous(canary).items()} | hand_written(canary)
    for name, payload in payloads.items():
        try:
            result = pickle.loads(payload)  # noqa: S301
            if name == "os.popen":
                result.close()
        except (TypeError, AttributeError):
            assert name == "build"  # it fails after its call
        assert canary.exists(), name
        canary.unlink()


def test_the_message_names_the_code(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"it holds pickled code \(argparse.Namespace\), which is never run$"):
        load(tmp_path, saved({"args": argparse.Namespace(lr=0.1)}))


@pytest.mark.parametrize("opcode", [b"Pid\n.", b"\x82\x01.", b"\x80\x02]Q.", b"h\x05.", b"\x95" + b"\xff" * 8 + b"."])
@pytest.mark.parametrize("wrap", FORMATS)
def test_opcodes_without_sense(tmp_path: Path, wrap: Callable[[bytes], bytes], opcode: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"file.pth.tar (was refused|is damaged or no torch checkpoint)"):
        load(tmp_path, wrap(opcode))


def entries_of(data: Any) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(saved(data))) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(tmp_path: Path) -> None:
    """Both have right checksums; which one a reader takes is its own affair."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries_of({"w": torch.ones(4)}).items():
            archive.writestr(name, content)
        archive.writestr("archive/data/0", torch.zeros(4).numpy().tobytes())
    with pytest.raises(CheckpointError, match=r"refused: the archive has two entries of the name archive/data/0$"):
        load(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("name", ["/etc/passwd", "archive/../../x", "archive\\x"])
def test_the_names_of_entries(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"refused: the archive has an entry of the name"):
        load(tmp_path, zipped({**entries_of({"w": torch.ones(4)}), name: b"x"}))


def test_entries_that_lie_over_each_other(tmp_path: Path) -> None:
    """The directory's second entry begins where its first one does."""
    content = bytearray(zipped({"archive/data.pkl": b"0" * 64, "archive/data.pkL": b"0" * 64}).replace(b"pkL", b"pkl"))
    second = content.rfind(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)
    content[second + 46 + 15] = ord("L")
    with pytest.raises(CheckpointError, match=r"refused|damaged"):
        load(tmp_path, bytes(content))


def test_what_follows_the_archive(tmp_path: Path) -> None:
    whole = saved({"w": torch.ones(4)})
    for tail in (b"x", whole[-22:]):
        with pytest.raises(CheckpointError, match=r"refused|damaged"):
            load(tmp_path, whole + tail)
    with pytest.raises(CheckpointError):  # a pickle that torch reads, with an archive that a zip reader finds
        load(tmp_path, pickle.dumps({}) + whole)


def number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little")


def claim(
    numbers: int, shape: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,), *, legacy: bool = False
) -> bytes:
    """A pickle as torch writes it, of a dict with one tensor in a storage of so many numbers."""
    view = b"N" if legacy else b""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    sizes = b"".join(b"(" + b"".join(map(number, part)) + b"t" for part in (shape, stride))
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(numbers) + view + b"tQK\x00" + sizes + hooks
    return b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"tRs."


def with_claim(payload: bytes) -> bytes:
    return zipped({**entries_of({"w": torch.ones(4)}), "archive/data.pkl": payload})


def test_an_honest_claim(tmp_path: Path) -> None:
    assert load(tmp_path, with_claim(claim(4)))["w"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("numbers", [5, 2**31, 2**62])
def test_a_storage_larger_than_its_bytes(tmp_path: Path, numbers: int) -> None:
    """Refused before anything of that size is asked of the memory."""
    with pytest.raises(CheckpointError, match=r"refused: storage 0 should have [\d,]+ bytes and has 16$"):
        load(tmp_path, with_claim(claim(numbers)))
    with pytest.raises(CheckpointError, match=r"refused|damaged"):
        load(tmp_path, as_late_legacy(claim(numbers, legacy=True)))


@pytest.mark.parametrize(("shape", "stride"), [((5,), (1,)), ((2**40,), (1,)), ((2, 2), (1, 3)), ((4,), (2**40,))])
def test_a_tensor_larger_than_its_storage(tmp_path: Path, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match=r"refused: a tensor of shape .* is larger than its storage$"):
        load(tmp_path, with_claim(claim(4, shape, stride)))


@pytest.mark.parametrize(
    "call", [b"cbuiltins\nbytearray\n", b"ctorch\nFloatTensor\n", b"ctorch.storage\nUntypedStorage\n"]
)
def test_a_call_that_only_takes_memory(tmp_path: Path, call: bytes) -> None:
    payload = b"\x80\x02" + call + b"\x8a\x06\x00\x00\x00\x00\x00\x01\x85R."
    with pytest.raises(CheckpointError, match=r"refused: it makes a .* of any size$"):
        load(tmp_path, as_zip(payload))


def test_a_pickle_without_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netslim.core.torch_files.torch_zip.LARGEST_PICKLE", 1000)
    with pytest.raises(CheckpointError, match=r"refused: its archive/data.pkl has [\d,]+ bytes, more than 1,000$"):
        load(tmp_path, saved({"text": "x" * 1000}))
