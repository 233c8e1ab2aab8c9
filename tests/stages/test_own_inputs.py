"""Networks of several inputs from the command line: the whole way, and what is refused in a line."""

import json
from pathlib import Path

import pytest
from own_code import PLAIN, Run

TWO = ("--arch", "mine.py:Two")
CPU = ("--device", "cpu")


@pytest.mark.parametrize("dataset", ["pairs", pytest.param("named_pairs", marks=pytest.mark.slow)])
def test_a_network_of_two_images_and_a_number(dataset: str, run_own: Run) -> None:
    data = ("--dataset", f"mine.py:{dataset}")
    for words in (
        (
            "train",
            *TWO,
            *data,
            *PLAIN,
            "-sr",
            "--s",
            0.01,
            "--penalty-weights",
            "macs",
            "--accumulate",
            2,
            "--save",
            "a",
        ),
        ("prune", "a/checkpoint.pth.tar", *TWO, *data, *CPU, "--target-macs", 0.5, "--save", "b"),
        ("train", "--refine", "b/pruned.pth.tar", *TWO, *data, *PLAIN, "--save", "c"),
        ("evaluate", "c/model_best.pth.tar", *TWO, *data, *CPU),
        *([("export", "c/model_best.pth.tar", *TWO)] if dataset == "named_pairs" else []),  # by torch's exporter: slow
    ):
        done = run_own(*words)
        assert done.code == 0, done.err
    found = json.loads(Path("b/run.json").read_text())["result"]
    assert found["macs"] < 0.6 * found["macs_before"]
    assert found["reconstructed"]["images"] == 24
    looked = run_own("prune", "a/checkpoint.pth.tar", *TWO, *data, *CPU, "--criterion", "taylor", "--save", "d")
    assert looked.code == 0, looked.err
    said = run_own("info", "b/pruned.pth.tar", *TWO).out
    assert "1x8x8 and 1x8x8 and 1" in said


def test_what_takes_one_input_says_so(run_own: Run) -> None:
    data = ("--dataset", "mine.py:pairs")
    assert run_own("train", *TWO, *data, *PLAIN, "--save", "a").code == 0
    timed = run_own("bench", "a/checkpoint.pth.tar", *TWO)
    assert (timed.code, timed.err.count("\n")) == (2, 1)
    assert "a/checkpoint.pth.tar holds a network of several inputs, which are not timed here: in Python" in timed.err
    sized = run_own("export", "a/checkpoint.pth.tar", *TWO, "--image-size", 9)
    assert "--image-size 9: a/checkpoint.pth.tar holds a network of several inputs; leave it out" in sized.err
    other = run_own("train", "--arch", "mine.py:net", *data, *PLAIN, "--save", "b")
    assert (other.code, other.err.count("\n")) == (1, 1)
    assert "the network can't take inputs [(8, 1, 8, 8) float32, (8, 1, 8, 8) float32, (8,) int64]" in other.err
