"""What follows a network in its file: boxes that are chosen, loops, and all that takes of them."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import made, numbers, read, session_of

import netslim
from netslim.core.errors import CheckpointError
from netslim.deploy.formats.onnx_rewrite import rewritten
from netslim.deploy.onnx_parity import difference_from
from netslim.models.onnx_import import source_of

node = helper.make_node
TENSORS = {
    **{"v": numbers(8, 3, 3, 3), "w": numbers(5, 8, 1, 1)},
    **{"rows": np.array([1, -1, 5]), "few": np.array([3]), "share": np.array([0.5], dtype=np.float32)},
    **{
        "four": np.array([4]),
        "one": np.array([1]),
        "axis": np.array([-1]),
        "five": np.array([5]),
        "zero": np.array([0]),
    },
}
BODY = [
    node("Conv", ["x", "v"], ["c"]),
    node("Relu", ["c"], ["r"]),
    node("Conv", ["r", "w"], ["d"]),
    node("Transpose", ["d"], ["t"], perm=[0, 2, 3, 1]),
    node("Reshape", ["t", "rows"], ["p"]),
    node("Slice", ["p", "zero", "four", "axis"], ["boxes"]),
    node("Slice", ["p", "four", "five", "axis"], ["s"]),
    node("Transpose", ["s"], ["scores"], perm=[0, 2, 1]),
]
CHOICE = [
    node("NonMaxSuppression", ["boxes", "scores", "few", "share"], ["chosen"], name="nms"),
    node("Shape", ["chosen"], ["shape"]),
    node("Identity", ["shape"], ["y"]),
]
IMAGE = {"x": [1, 3, 6, 6]}


def halved(path, nodes, outputs, tensors=TENSORS):
    """The network, half of it, and what is written."""
    network = read(path, made(nodes, IMAGE, outputs, tensors))
    source = source_of(network)
    small = netslim.apply(network, netslim.plan(network, source.example(), target_macs=0.5, criterion="l2_norm"))
    return network, small, rewritten(small, source, {}).SerializeToString()


def test_boxes_are_chosen_by_the_file_that_is_written(tmp_path):
    network, small, content = halved(tmp_path / "net.onnx", [*BODY, *CHOICE], ["chosen", "p", "y"])
    source = source_of(network)
    assert source.outputs == ("p", "boxes", "scores")
    assert (
        source.rest == "from node 'nms' (NonMaxSuppression) on the file stays as it is, with the channels that it takes"
    )
    assert difference_from(str(tmp_path / "net.onnx"), network, source) < 1e-5
    assert difference_from(content, small, source) < 1e-5
    assert small.v.weight.shape[0] < 8
    session = session_of(content)
    given = {"x": numbers(1, 3, 6, 6)}
    chosen, found, shape = session.run(None, given)
    assert [output.name for output in session.get_outputs()] == ["chosen", "p", "y"]
    assert found.shape == (1, 16, 5)
    assert tuple(chosen.shape) == tuple(shape)


def test_a_loop_keeps_what_it_takes_and_sizes_that_it_is_told(tmp_path):
    body = helper.make_graph(
        [node("Add", ["sum", "pooled"], ["next"]), node("Identity", ["go"], ["on"])],
        "body",
        [helper.make_tensor_value_info("at", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)],
        [helper.make_empty_tensor_value_info("on"), helper.make_empty_tensor_value_info("next")],
    )  # fmt: skip
    nodes = [
        *BODY[:3],
        node("GlobalAveragePool", ["d"], ["pooled"]),
        node("Shape", ["r"], ["sides"]),
        node("Gather", ["sides", "place"], ["channels"]),
        node("Loop", ["count", "", "pooled"], ["y"], body=body, name="loop"),
        node("Add", ["y", "w_sum"], ["z"]),
        node("Cast", ["channels"], ["many"], to=TensorProto.FLOAT),
        node("Mul", ["z", "many"], ["out"]),
    ]
    tensors = {**TENSORS, "count": np.array(3), "w_sum": numbers(1), "place": np.array(1)}
    network = read(tmp_path / "net.onnx", made(nodes, IMAGE, ["out"], tensors))
    assert source_of(network).outputs == ("pooled", "r")  # of r the number of channels
    assert difference_from(str(tmp_path / "net.onnx"), network, source_of(network)) < 1e-5


def test_a_tensor_that_a_loop_takes_stays_when_a_layer_loses_channels(tmp_path):
    body = helper.make_graph(
        [node("ReduceSum", ["w", "all"], ["total"], keepdims=0), node("Add", ["sum", "total"], ["next"]),
         node("Identity", ["go"], ["on"])],
        "body",
        [helper.make_tensor_value_info("at", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)],
        [helper.make_empty_tensor_value_info("on"), helper.make_empty_tensor_value_info("next")],
        [numpy_helper.from_array(np.arange(4), "all")],
    )  # fmt: skip
    nodes = [*BODY[:3], node("Loop", ["count", "", "d"], ["y"], body=body, name="loop")]
    network, small, content = halved(tmp_path / "net.onnx", nodes, ["y"], {**TENSORS, "count": np.array(2)})
    assert difference_from(content, small, source_of(network)) < 1e-5
    given = {"x": numbers(1, 3, 6, 6)}
    d = session_of(content).run(None, given)[0] - 2 * TENSORS["w"].sum()
    assert d.shape == (1, 5, 4, 4)


def test_an_if_on_data_is_where_the_network_ends(tmp_path):
    def branch(kind):
        return helper.make_graph([node(kind, ["d"], [kind])], kind, [], [helper.make_empty_tensor_value_info(kind)])

    nodes = [
        *BODY[:3],
        node("ReduceMax", ["d"], ["most"], keepdims=0),
        node("Cast", ["most"], ["cond"], to=TensorProto.BOOL),
        node("If", ["cond"], ["y"], then_branch=branch("Neg"), else_branch=branch("Relu"), name="choice"),
    ]
    network, small, content = halved(tmp_path / "net.onnx", nodes, ["y"])
    assert source_of(network).outputs == ("cond", "d")
    assert difference_from(content, small, source_of(network)) < 1e-5


def test_a_network_must_be_there(tmp_path):
    nodes = [node("NonZero", ["x"], ["a"], name="first"), node("Fancy", ["a"], ["y"], domain="com.mine")]
    with pytest.raises(CheckpointError, match=r"there is no layer before node 'first' \(NonZero\), from which on"):
        read(tmp_path / "net.onnx", made(nodes, IMAGE, ["y"], TENSORS))
