"""The table of operators."""

from rules import (
    test_activations,
    test_arithmetic,
    test_borders,
    test_layers,
    test_movement,
    test_padding,
    test_pooling,
    test_recurrent,
    test_reductions,
    test_resizing,
    test_shapes,
)

from netslim.models.onnx_import.operators import OPERATORS

FAMILIES = (
    test_activations,
    test_arithmetic,
    test_borders,
    test_layers,
    test_movement,
    test_padding,
    test_pooling,
    test_recurrent,
    test_reductions,
    test_resizing,
    test_shapes,
)


def test_every_operator_is_proven():
    models = [param.values[0] for family in FAMILIES for param in family.CASES]
    proven = {node.op_type for model in models for node in model.graph.node}
    assert {kind for kind in OPERATORS if ":" not in kind} - proven == set()
