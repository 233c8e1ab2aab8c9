import pytest

from netslim.cli.flags import spelled
from netslim.core.errors import setting


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("`min_channels=-1`: type 1, or more", "--min-channels -1: type 1, or more"),
        ("give another `save`", "give another --save"),
        ("`data_dir` must name a folder", "--data-dir must name a folder"),
        ("type `dataset=NAME` `data_dir=DIR`", "type --dataset NAME --data-dir DIR"),
        ("type `num_classes=N` `in_channels=1` or 3", "type --num-classes N --in-channels 1 or 3"),
        ("type `residual='couple'`", "type --residual couple"),
        ("`weights` and `pretrained=False` exclude each other", "--weights and --no-pretrained exclude each other"),
        ("or pass `unverified_data=True`", "or pass --unverified-data"),
        ("type `sparsity_regularization=True` with it", "type -sr with it"),
        ("`weight_decay=nan`: finite", "--weight-decay nan: finite"),
        ("`scale_decay=False`", "--no-scale-decay"),
        ("`save=True`: no path", "--save True: no path"),
        ("`lr=None`", "--lr None"),
        ("type `arch_args=['width=16', \"act='a'\"]`", "type --arch-args width=16 act='a'"),
        ("`batches=3`, `forward` and `a b` are no settings", "`batches=3`, `forward` and `a b` are no settings"),
    ],
)
def test_settings_become_flags_and_nothing_else_does(message: str, line: str) -> None:
    assert spelled(message) == line


@pytest.mark.parametrize(
    "given", ["runs/a b", "it's", 'a "b"', 'it\'s "c"', "back`tick", "back\\slash", "1,2", "", "zürich"]
)
def test_text_is_quoted_for_python_and_bare_on_the_command_line(given: str) -> None:
    """But for one that is empty, which could not be seen."""
    typed = given or "''"
    assert spelled(f"{setting('save', given)}: no") == f"--save {typed}: no"
