import sys
from pathlib import Path

import pytest

from netslim.core.errors import ArgumentError, UserCodeError
from netslim.core.files import file_hash
from netslim.core.plugins.references import blamed, file_of, is_reference, literals, load_reference, user_code

NETS = """
from neighbour import WIDTH

made = []

def small(width=WIDTH):
    return ("small", width)

class Holder:
    def inner():
        return "inner"

def fails():
    raise ValueError("no\\nluck")
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "neighbour.py").write_text("WIDTH = 12\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    return "nets.py"


def test_a_function_of_a_file_with_its_neighbours_and_hash(nets: str) -> None:
    own = load_reference("arch", f"{nets}:small")
    assert own.call() == ("small", 12)
    assert own.call_with({"width": 3, "depth": 4}) == ("small", 3)
    assert (own.name, own.sha256) == ("small", file_hash(Path(nets)))
    assert load_reference("arch", f"{nets}:Holder.inner").call() == "inner"


def test_two_references_into_a_file_are_into_one_module_and_a_changed_file_is_another(nets: str) -> None:
    first = load_reference("loss", f"{nets}:made").value
    assert load_reference("metric", f"{nets}:made").value is first
    Path(nets).write_text(NETS.replace("made = []", "made = [1]"))
    assert load_reference("loss", f"{nets}:made").value == [1]


def test_a_module_by_its_name(nets: str) -> None:
    assert load_reference("arch", "neighbour:WIDTH").value == 12
    assert load_reference("arch", "pathlib:Path.cwd").call() == Path.cwd()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope.py:f", "`arch='nope.py:f'`: cannot read nope.py: No such file or directory"),
        (
            "nets.py:smal",
            "`arch='nets.py:smal'`: nets.py has no 'smal'; did you mean small or made? (it has: Holder, fails, small)",
        ),
        ("nets.py", "`arch='nets.py'`: name what is in it: `arch='nets.py:NAME'`"),
        ("nets.py:", "`arch='nets.py:'`: name what is in it: `arch='nets.py:NAME'`"),
        ("no.such:f", "`arch='no.such:f'`: there is no module no, neither installed nor in this folder"),
    ],
)
def test_what_is_not_there(nets: str, text: str, said: str) -> None:
    assert is_reference(text)
    with pytest.raises(ArgumentError) as caught:
        load_reference("arch", text)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\nimport nosuchthing\n", "bad.py:2: ModuleNotFoundError: No module named 'nosuchthing'"),
        ("def f(:\n", "bad.py:1: SyntaxError: invalid syntax"),
        ("def f():\n    return 1 / 0\nf()\n", "bad.py:2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(0)\n", "bad.py:2: SystemExit: 0"),
    ],
)
def test_an_import_that_fails_has_the_users_file_and_line(nets: str, source: str, said: str) -> None:
    Path("bad.py").write_text(source)
    with pytest.raises(UserCodeError) as caught:
        load_reference("loss", "bad.py:f")
    assert str(caught.value) == f"`loss='bad.py:f'`: {said}"
    assert not [name for name in sys.modules if name.startswith("netslim_user_bad")]


def test_a_module_of_a_package_is_to_be_named_as_one(nets: str) -> None:
    Path("pkg").mkdir()
    Path("pkg/nets.py").write_text("from .blocks import f\n")
    with pytest.raises(ArgumentError, match=r"its package: type `arch='pkg.nets:f'` in the folder that holds pkg$"):
        load_reference("arch", "pkg/nets.py:f")


def test_neighbours_of_one_name_in_two_folders_are_not_taken_for_each_other(nets: str) -> None:
    load_reference("arch", f"{nets}:small")
    Path("other").mkdir()
    Path("other/neighbour.py").write_text("WIDTH = 99\n")
    Path("other/data.py").write_text("import neighbour\n\ndef f():\n    return neighbour.WIDTH\n")
    with pytest.raises(ArgumentError, match=r"it imports neighbour, and neighbour.py has that name: rename .*other/"):
        load_reference("dataset", "other/data.py:f")


def test_a_line_of_the_users_code_is_blamed_wherever_it_was_called_and_no_other_line(nets: str) -> None:
    fails = load_reference("loss", f"{nets}:fails").value
    with pytest.raises(ValueError, match="no") as caught:
        fails()
    assert blamed(caught.value) == "nets.py:14: ValueError: no luck"
    assert blamed(ValueError("no")) is None


def test_what_the_users_code_raises_is_one_line_and_memory_that_is_short_is_not_its_fault(nets: str) -> None:
    with pytest.raises(UserCodeError, match=r"^`loss='nets.py:fails'`: nets.py:14: ValueError: no luck$"):
        load_reference("loss", "nets.py:fails").call()
    with pytest.raises(RuntimeError, match="CUDA out of memory"), user_code("x"):
        raise RuntimeError("CUDA out of memory")


def test_arguments_that_it_has_no_parameters_for(nets: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        load_reference("arch", "nets.py:small").check_arguments("arch_args", {"widht": 3})
    assert str(caught.value) == (
        "`arch_args='widht=3'`: nets.py:small: got an unexpected keyword argument 'widht' (it takes width)"
    )


def test_names_that_are_no_references() -> None:
    assert not any(map(is_reference, ["resnet", "timm/resnet18", "torchvision/resnet50", ":f", "a:"]))
    assert (file_of("a/b.py:f"), file_of("a.b:f"), file_of("resnet"), file_of(None)) == (
        Path("a/b.py"),
        None,
        None,
        None,
    )


def test_values_are_literals_of_python_or_json_and_else_texts() -> None:
    given = ["width=16", "rate=1e-3", "act=relu", "wide=True", "deep=true", "none=null", "sides=(1, 2)", "a='b'", "e="]
    assert literals("arch_args", given) == {
        "width": 16, "rate": 0.001, "act": "relu", "wide": True, "deep": True, "none": None, "sides": [1, 2], "a": "b",
        "e": "",
    }  # fmt: skip
    with pytest.raises(ArgumentError, match="type key=value, for example `arch_args='width=16'`"):
        literals("arch_args", ["width"])
