"""Which old sides a new side is made of."""

import pytest

from netslim.models.onnx_import.reshaping import Run, runs_of


@pytest.mark.parametrize(
    ("old", "new", "runs"),
    [
        ((2, 512, 7, 7), (2, 25088), [((0,), (0,)), ((1, 2, 3), (1,))]),
        ((2, 512, 1, 1), (2, 512), [((0,), (0,)), ((1, 2, 3), (1,))]),
        ((2, 8, 5, 5), (2, 2, 4, 5, 5), [((0,), (0,)), ((1,), (1, 2)), ((2,), (3,)), ((3,), (4,))]),
        ((2, 2, 4, 5, 5), (2, 8, 5, 5), [((0,), (0,)), ((1, 2), (1,)), ((3,), (2,)), ((4,), (3,))]),
        ((6, 4), (2, 3, 4), [((0,), (0, 1)), ((1,), (2,))]),
        ((1, 1, 8), (8,), [((0, 1, 2), (0,))]),
    ],
)
def test_runs_are_the_shortest_of_one_product(old, new, runs):
    assert runs_of(old, new) == [Run(*run) for run in runs]
