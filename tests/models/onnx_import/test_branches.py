"""`If`: the branch that is taken stands in its place, or a line says why none can be known."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import difference, made, numbers, read, session_of

import netslim
from netslim.core.errors import CheckpointError
from netslim.deploy.formats.onnx_rewrite import rewritten
from netslim.models.onnx_import import source_of

node = helper.make_node
TENSORS = {"yes": np.array(True), "no": np.array(False), "one": np.array([1]), "place": np.array(1)}


def branch(*nodes, outputs=("out",), tensors=()):
    held = [numpy_helper.from_array(array, name) for name, array in dict(tensors).items()]
    return helper.make_graph(nodes, "branch", [], [helper.make_empty_tensor_value_info(name) for name in outputs], held)


def chosen(condition, out, then, otherwise, **attributes):
    outputs = [out] if isinstance(out, str) else out
    return node("If", [condition], outputs, name=f"if_{outputs[0]}", then_branch=then, else_branch=otherwise)


SQUEEZED = branch(node("Squeeze", ["x", "one"], ["out"]))
KEPT = branch(node("Identity", ["x"], ["out"]))


def asked(dim, equal):
    return [
        node("Shape", ["x"], ["shape"]),
        node("Constant", [], ["dim"], value_int=dim),
        node("Gather", ["shape", "dim"], ["side"]),
        node("Constant", [], ["wanted"], value_int=equal),
        node("Equal", ["side", "wanted"], ["same"]),
    ]


@pytest.mark.parametrize("condition", ["yes", "no"])
def test_a_constant_condition_needs_but_one_branch(condition, tmp_path):
    other = branch(node("Fancy", ["x"], ["inner"], domain="com.mine"), node("Relu", ["inner"], ["out"]))
    own = branch(node("Add", ["x", "w"], ["inner"]), node("Relu", ["inner"], ["out"]), tensors={"w": numbers(4)})
    branches = (own, other) if condition == "yes" else (other, own)
    nodes = [chosen(condition, "a", *branches), node("Sigmoid", ["a"], ["y"])]
    model = made(nodes, {"x": ["n", 4]}, ["y"], TENSORS)
    plain = made([node("Add", ["x", "w"], ["b"]), node("Relu", ["b"], ["a"]), nodes[1]], {"x": ["n", 4]}, ["y"],
                 {"w": numbers(4)})  # fmt: skip
    network = read(tmp_path / "net.onnx", model)
    assert difference(tmp_path / "net.onnx", network, plain.SerializeToString()) < 1e-6
    assert source_of(network).fixed == ()


def test_branches_may_have_the_same_names_within(tmp_path):
    first = branch(node("Add", ["x", "w"], ["inner"]), node("Relu", ["inner"], ["out"]), tensors={"w": numbers(4)})
    second = branch(
        node("Mul", ["a", "w"], ["inner"]),
        chosen("yes", "nested", branch(node("Neg", ["inner"], ["out"])), KEPT),
        node("Add", ["nested", "inner"], ["out"]),
        node("Identity", ["x"], ["other"]),
        outputs=("out", "w", "other"),
        tensors={"w": numbers(4, seed=1)},
    )
    nodes = [chosen("yes", "a", first, KEPT), chosen("yes", ["b", "held", "given"], second, second)]
    nodes += [node("Sum", ["b", "held", "given"], ["y"])]
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 4]}, ["y"], TENSORS))
    assert difference(tmp_path / "net.onnx", network) < 1e-6


def test_a_condition_on_a_side_of_the_file_leaves_the_batch_open(tmp_path):
    nodes = [*asked(1, 1), node("Not", ["same"], ["other"]), node("And", ["same", "other"], ["never"])]
    nodes += [node("Or", ["same", "never"], ["cond"]), chosen("cond", "a", SQUEEZED, KEPT), node("Relu", ["a"], ["y"])]
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 1, 8]}, ["y"], TENSORS))
    assert difference(tmp_path / "net.onnx", network) < 1e-6
    source = source_of(network)
    assert (source.inputs[0].free, source.fixed) == ((True, False, False), ())
    assert "If" not in {each.op_type for each in source.proto.graph.node}


def test_a_condition_on_an_open_side_fixes_it_in_what_is_written(tmp_path):
    nodes = [
        *asked(2, 8),
        chosen("same", "a", branch(node("Relu", ["c"], ["out"])), branch(node("Neg", ["c"], ["out"]))),
    ]
    nodes = [node("Conv", ["x", "v"], ["c"]), *nodes, node("Conv", ["a", "w"], ["y"])]
    tensors = {**TENSORS, "v": numbers(8, 3, 1), "w": numbers(5, 8, 1)}
    network = read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 3, "length"]}, ["y"], tensors), (2, 3, 8))
    source, example = source_of(network), source_of(network).example()
    assert source.fixed == ("side 2 of input 'x' is fixed at 8: node 'if_a' (If) asks for it",)
    assert source.inputs[0].free == (True, False, False)
    small = netslim.apply(network, netslim.plan(network, example, target_macs=0.5, criterion="l2_norm"))
    content = rewritten(small, source, {}).SerializeToString()
    assert difference(tmp_path / "net.onnx", small, content) < 1e-5
    with pytest.raises(Exception, match="Got: 9 Expected: 8"):  # ONNX Runtime's own class
        session_of(content).run(None, {"x": numbers(2, 3, 9)})


def test_a_file_whose_batch_a_condition_fixes_is_one_of_a_single_image(tmp_path):
    nodes = [*asked(0, 1), chosen("same", "a", branch(node("Neg", ["x"], ["out"])), KEPT), node("Relu", ["a"], ["y"])]
    model = made(nodes, {"x": ["n", 3]}, ["y"], TENSORS)
    source = source_of(read(tmp_path / "net.onnx", model))
    assert (source.inputs[0].shape, source.inputs[0].free[0]) == ((1, 3), False)
    assert difference(tmp_path / "net.onnx", read(tmp_path / "net.onnx", model)) < 1e-6


def test_a_condition_on_data_is_refused(tmp_path):
    nodes = [node("ReduceMax", ["x"], ["most"], keepdims=0), node("Cast", ["most"], ["cond"], to=TensorProto.BOOL)]
    nodes += [chosen("cond", "y", KEPT, SQUEEZED)]
    with pytest.raises(CheckpointError, match=r"there is no layer before node 'if_y' \(If\), from which on nothing"):
        read(tmp_path / "net.onnx", made(nodes, {"x": ["n", 1]}, ["y"], TENSORS))


def test_operators_of_the_branch_that_is_taken_must_be_known(tmp_path):
    fancy = branch(node("Fancy", ["x"], ["out"], domain="com.mine"))
    with pytest.raises(CheckpointError, match=r"has operators that are not known: com\.mine:Fancy \(1\)"):
        read(tmp_path / "net.onnx", made([chosen("yes", "y", fancy, KEPT)], {"x": ["n", 1]}, ["y"], TENSORS))
