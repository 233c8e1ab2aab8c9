"""A hash in an ONNX file."""

import hashlib
from pathlib import Path

import onnx
import pytest

from netslim.core.errors import CheckpointError
from netslim.deploy.formats.onnx_hash import check_seal, facts_in, metadata_of, seal, with_facts

MODEL = onnx.ModelProto(producer_name="netslim", doc_string="a model").SerializeToString()


def test_a_seal_is_metadata_that_onnx_reads() -> None:
    read = onnx.ModelProto.FromString(seal(MODEL))
    assert read.producer_name == "netslim"
    found = {entry.key: entry.value for entry in read.metadata_props}
    assert found == {"netslim_sha256": hashlib.sha256(MODEL).hexdigest()}


def test_every_changed_byte_before_the_key_is_found() -> None:
    sealed = seal(MODEL)
    check_seal(sealed, Path("net.onnx"))
    for place in range(len(MODEL)):
        with pytest.raises(CheckpointError):
            check_seal(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], Path("net.onnx"))
    with pytest.raises(CheckpointError) as caught:
        check_seal(sealed + b"\x00", Path("net.onnx"))
    assert str(caught.value) == (
        "net.onnx is damaged, or another program changed it: its metadata netslim_sha256 is not its hash; export it "
        "again, or remove that entry"
    )


def test_a_file_without_a_seal_passes() -> None:
    check_seal(MODEL, Path("net.onnx"))


@pytest.mark.parametrize("text", ["{", "[1]", "null"])
def test_facts_that_another_program_broke(text: str) -> None:
    assert facts_in({"netslim": text}) == facts_in({}) == {}


def test_metadata_without_the_hash() -> None:
    model = onnx.ModelProto.FromString(MODEL)
    model.metadata_props.add(key="author", value="me")
    once = onnx.ModelProto.FromString(with_facts(model, {"dataset": {"name": "digits"}}))
    twice = onnx.ModelProto.FromString(with_facts(once, {"plan": 1}))
    assert len(twice.metadata_props) == 3
    assert metadata_of(twice).keys() == {"author", "netslim"}
    assert facts_in(metadata_of(twice)) == {"dataset": {"name": "digits"}, "plan": 1}
