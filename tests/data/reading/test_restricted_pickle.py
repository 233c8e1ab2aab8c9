import pickle

import numpy as np
import pytest

from netslim.core.errors import DataError
from netslim.data.reading.restricted_pickle import load_plain


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=rf"x wants to run (builtins|__builtin__)\.{name}"):
        load_plain(f"cbuiltins\n{name}\n.".encode(), "x")


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(DataError, match=r"x is damaged .*instead of bytes"):
        load_plain(pickle.dumps(np.array([{}], dtype=object), protocol=4), "x")


def test_a_cut_or_scrambled_pickle_is_damaged() -> None:
    whole = pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}, protocol=4)
    for end in range(0, len(whole) - 1, 97):
        with pytest.raises(DataError, match=r"^x is damaged"):
            load_plain(whole[:end], "x")


def test_a_pickle_of_python_2_is_read() -> None:
    """As CIFAR's own files are: protocol 2, byte strings as keys, the array's module under its old name."""
    content = (
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89U\x03\x01\xfe\xfftbs."
    )
    found = load_plain(content, "x")
    assert isinstance(found, dict)
    assert found["data"].tolist() == [1, 254, 255]


def test_arrays_and_bytes_of_every_protocol() -> None:
    plain = {b"key": [b"a", 1, "text"], "data": np.arange(6, dtype=np.uint8).reshape(2, 3)}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        found = load_plain(pickle.dumps(plain, protocol), "x")
        assert isinstance(found, dict)
        assert found[b"key"] == plain[b"key"]
        assert found["data"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found["data"].dtype == np.uint8


def nested(depth: int) -> bytes:
    """A tuple in a tuple and so on, as a key: to hash it takes the whole stack."""
    return b"\x80\x02})" + b"\x85" * depth + b"Ns."


def doubled(depth: int) -> bytes:
    """The same tuple twice in the next one: to hash it takes 2**depth steps."""
    return b"\x80\x02})" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(depth)) + b"Ns."


def doubled_in_calls(depth: int) -> bytes:
    """The same, where every tuple is also the arguments of a call, from which the memo keeps it."""
    call = b"cnumpy.core.multiarray\n_reconstruct\n"
    steps = b"".join(call + b"h%ch%c\x86q%cR" % (n, n, n + 1) for n in range(depth))
    return b"\x80\x02)q\x00" + steps + b"}h%cNs." % depth


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nested(400_000), "more than 20 tuples"),
        (doubled(60), "more than 20 tuples"),
        (doubled_in_calls(60), "more than 20 tuples"),
        (b"\x80\x02)0N.", "instruction POP, which plain data has no need of"),
        (b"\x80\x02)2\x86.", "instruction DUP, which plain data has no need of"),
        (b"\x80\x02]" + b"Na" * 600_000 + b".", "more than 1,000,000 instructions"),
        (b"\x80\x02]r\xff\xff\xff\xff.", "number 4294967295 in the memo"),
        (b"]p4294967295\n.", "number 4294967295 in the memo"),
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.", "expected"),
        (b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.", "expected"),
        (b"L" + b"9" * 100_000 + b"L\n.", "Exceeds the limit"),
        (pickle.dumps(np.zeros(3, np.float64), 4), "arrays of type f8 instead of bytes"),
        (b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13tR.", "another encoding than latin1"),
        (b"cnumpy\nndarray\n(I1000000000000\ntR.", "not callable"),
        (b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1tR(I3\nX\x01\x00\x00\x00|I9\nI9\nI9\nI9\nI9\nI9\ntb", ""),
    ],
)
def test_pickles_that_would_take_time_memory_or_the_stack(content: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=rf"^x is damaged \(.*{reason}.*\): delete it to download it again$"):
        load_plain(content, "x")


def test_deep_lists_are_plain_data() -> None:
    assert isinstance(load_plain(b"\x80\x02" + b"]" * 400_000 + b"a" * 399_999 + b".", "x"), list)


def test_a_huge_number_is_a_number() -> None:
    assert load_plain(pickle.dumps(1 << 80_000), "x") == 1 << 80_000


def test_shapes_and_states_that_do_not_fit_the_content() -> None:
    whole = pickle.dumps(np.zeros(200, np.uint8), 2)
    for shape in (b"M\xe8\x03", b"K\x07"):
        with pytest.raises(DataError, match="x is damaged"):
            load_plain(whole.replace(b"K\xc8", shape), "x")


def test_numpys_own_type_of_bytes_stays_as_it_was() -> None:
    """A pickle may set a type's state; it gets a copy."""
    content = pickle.dumps(np.zeros(2, np.uint8), 2)
    for old, new in ((b"\x89\x88\x87", b"\x89\x89\x87"), (b"\x01\x00\x00\x00|", b"\x01\x00\x00\x00>")):
        assert old in content
        content = content.replace(old, new)
    load_plain(content, "x")
    assert np.dtype("u1").byteorder == "|"


def test_what_a_pickle_sets_on_a_stand_in_is_gone_with_it() -> None:
    hostile = b"cnumpy\ndtype\n(N}X\x0c\x00\x00\x00__defaults__Nstb."
    load_plain(hostile, "x")
    content = b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1tR."  # relies on the defaults
    assert load_plain(content, "x") == np.uint8


def test_a_long_name_does_not_fill_the_screen() -> None:
    with pytest.raises(DataError) as caught:
        load_plain(b"cos\n" + b"x" * 10_000 + b"\n.", "x")
    assert len(str(caught.value)) < 300
