"""The table of operators."""

from rules import (
    test_activations,
    test_arithmetic,
    test_fused,
    test_layers,
    test_movement,
    test_normalization,
    test_padding,
    test_picking,
    test_pooling,
    test_recurrent,
    test_reductions,
    test_resizing,
    test_sampling,
    test_sequences,
    test_shapes,
)

from netslim.models.onnx_import.convert import kind_of
from netslim.models.onnx_import.operators import OPERATORS

FAMILIES = (
    test_activations,
    test_arithmetic,
    test_fused,
    test_layers,
    test_movement,
    test_normalization,
    test_padding,
    test_picking,
    test_pooling,
    test_recurrent,
    test_reductions,
    test_resizing,
    test_sampling,
    test_sequences,
    test_shapes,
)


def test_every_operator_is_proven():
    models = [param.values[0] for family in FAMILIES for param in family.CASES]
    proven = {kind_of(node) for model in models for node in model.graph.node}
    assert {*OPERATORS} - proven == {"com.microsoft:Gelu"}  # ONNX's own of the same name is
