"""What can be wrong with code of the user's own: each is one line, and an exit code."""

from pathlib import Path

import pytest
from own_code import NET, TRAIN, Run


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("--arch nope.py:net", 2, "--arch nope.py:net: cannot read nope.py: No such file or directory"),
        ("--arch mine.py:nte", 2, "--arch mine.py:nte: mine.py has no 'nte'; did you mean net"),
        ("--arch mine.py:nothing", 2, "--arch mine.py:nothing: it gives nothing, not a network (torch.nn.Module)"),
        ("--arch bad.py:net", 1, "--arch bad.py:net: bad.py:2: ModuleNotFoundError: No module named 'nosuchthing'"),
        (
            "--arch-args widht=3",
            2,
            "--arch-args widht=3: mine.py:net: got an unexpected keyword argument 'widht' (it tak",
        ),
        ("--arch resnet --arch-args a=1", 2, "--arch-args a=1: only code of your own takes them"),
        ("--depth 20", 2, "--depth 20: mine.py:net is code of your own: type --arch-args depth=20"),
        (
            "--dataset mine.py:nothing",
            2,
            "--dataset mine.py:nothing: it gives nothing, not netslim.UserData, (train, v",
        ),
        ("--dataset mine.py:many", 1, "the labels are class numbers from "),
        (
            "--dataset mine.py:later",
            1,
            "loss cross_entropy can't take outputs (8, 3) float32 and labels (8,) int64: In",
        ),
        ("--dataset mine.py:broken", 1, "mine.py:broken, sample 5: mine.py:40: ValueError: no such picture"),
        (
            "--dataset mine.py:broken --workers 2",
            1,
            "mine.py:broken, sample 5: mine.py:40: ValueError: no such picture",
        ),
        (
            "--arch resnet --depth 11",
            2,
            "mine.py:data does not say num_classes, the outputs of resnet: return it there",
        ),
        (
            "--loss mine.py:vector",
            1,
            "loss mine.py:vector: it gives (8,) float32, not a real scalar tensor: return its",
        ),
        ("--loss mine.py:detached", 1, "loss mine.py:detached: its value does not depend on the network in a way that"),
        ("--loss mine.py:not_a_number", 1, "the loss of the first batch is nan, of outputs (8, 3) float32"),
        (
            "--loss mse",
            1,
            "loss mse can't take outputs (8, 3) float32 and labels (8,) int64: ValueError: they are not of",
        ),
        ("--loss hinge", 2, "unknown loss 'hinge' (known: bce_with_logits, cross_entropy, mse)"),
        ("--loss mse --label-smoothing 0.1", 2, "--label-smoothing 0.1: loss mse has none; leave it out"),
        ("--loss mse --teacher mine.py", 2, "a --teacher speaks of classes: it goes with --loss cross_entropy and"),
        (
            "--metric mine.py:nan_metric",
            1,
            "metric mine.py:nan_metric: it is nan for the first batch, and judges nothing",
        ),
        ("--arch mine.py:fails_in_training", 1, "a step of training: mine.py:108: AssertionError"),
        (
            "--arch mine.py:no_norm -sr",
            2,
            "-sr: the network has no BatchNorm scales that learn, for a penalty; leave i",
        ),
        ("--arch mine.py:frozen", 1, "the network has no parameter that learns (requires_grad)"),
        ("--loss mine.py:constant", 1, "loss mine.py:constant: it does not depend on what the network gives"),
        ("--optimizer mine.py:another", 2, "--optimizer mine.py:another: it has none of the network's parameters"),
        ("--optimizer torch.optim:LBFGS", 2, "--optimizer torch.optim:LBFGS: LBFGS takes the loss several times per"),
        ("--optimizer torch.optim:SparseAdam", 1, "a step of training: RuntimeError: SparseAdam does not support"),
        ("--metric mine.py:leaves", 1, "metric mine.py:leaves, outputs (8, 3) float32 and labels (8,) int64: mine.py:"),
        ("--metric-mode most", 2, "--metric-mode most: type max or min"),
        (
            "--optimizer mine.py:nothing",
            1,
            "--optimizer mine.py:nothing: TypeError: nothing() takes 0 positional argum",
        ),
    ],
)
def test_errors_are_one_line_and_leave_no_result(run_own: Run, given: str, code: int, said: str) -> None:
    Path("bad.py").write_text("import os\nimport nosuchthing\n")
    done = run_own(*TRAIN, *given.split(), "--save", "run")
    lines = [line for line in done.err.splitlines() if not line.startswith("netslim: note")]
    assert done.code == code, done.err
    assert len(lines) == 1
    assert lines[0].startswith(f"netslim: error: {said}"), lines[0]
    assert not Path("run/model_best.pth.tar").exists()


@pytest.mark.parametrize("verb", [("evaluate",), ("prune", "--save", "p"), ("sweep", "--save", "s")])
def test_data_that_a_files_network_is_not_for(run_own: Run, verb: tuple[str, ...]) -> None:
    assert run_own(*TRAIN, "--epochs", 1, "--save", "run").code == 0
    for data, said in (
        ("mine.py:many", "the labels are class numbers from "),
        ("mine.py:broken", "mine.py:broken, sample 5: mine.py:40: ValueError: no such picture"),
    ):
        done = run_own(verb[0], "run/model_best.pth.tar", *verb[1:], *NET, "--dataset", data, "--device", "cpu")
        assert done.code == 1
        assert done.err.startswith(f"netslim: error: {said}")
        assert len(done.err.splitlines()) == 1
