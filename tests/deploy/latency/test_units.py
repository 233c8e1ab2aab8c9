"""What an engine runs as one piece, and how wide it is."""

from netslim.cost.time_model import Width
from netslim.deploy.latency.units import total

from .small import units

INNER, STREAM = Width(24, ((0, 1),)), Width(16, ((1, 1),))


def test_layers_with_what_is_fused_into_them() -> None:
    found = units()
    names = [[node.name for node in unit.nodes] for unit in found.units]
    assert names == [["stem", "relu"], ["first", "relu_1"], ["second", "add"], ["spread", "relu_2"], ["grouped"],
                     ["mean"], ["head"]]  # fmt: skip
    assert [unit.widths for unit in found.units] == [
        (Width(3), STREAM),
        (STREAM, INNER),
        (INNER, STREAM),
        (STREAM,),
        (STREAM,),
        (STREAM,),
        (STREAM, Width(10)),
    ]


def test_what_goes_with_a_group() -> None:
    found = units()
    assert found.without([0], [24, 16]) == {1, 2}
    assert found.without([], [24, 16]) == set()


def test_widths_of_a_concatenation_add_up() -> None:
    assert total([INNER, STREAM, Width(8, ((0, 2),))]) == Width(48, ((0, 3), (1, 1)))
