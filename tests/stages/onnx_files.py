"""A small classifier in an ONNX file, and folders of images."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image


def node(kind, given, out, **attributes):
    return helper.make_node(kind, given.split(), [out], **attributes)


def classifier(path: Path, classes: int = 3, size: int = 8, channels: int = 3, **metadata: str) -> Path:
    """Two convolutions and a linear layer, with random weights."""
    random = np.random.default_rng(0)
    shapes = {
        "first.weight": (16, channels, 3, 3),
        "first.bias": (16,),
        "second.weight": (12, 16, 3, 3),
        "fc.weight": (classes, 12),
        "fc.bias": (classes,),
    }
    tensors = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        node("Conv", "image first.weight first.bias", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "b"),
        node("Conv", "b second.weight", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "d"),
        node("GlobalAveragePool", "d", "e"),
        node("Flatten", "e", "f"),
        node("Gemm", "f fc.weight fc.bias", "scores", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", 1, ["batch", channels, size, size])],
        [helper.make_tensor_value_info("scores", 1, ["batch", classes])],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="others")
    model.ir_version = 8
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def images(folder: Path, count: int, seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(random.integers(0, 255, (10, 9, 3), dtype=np.uint8)).save(folder / f"{number:03}.png")
    return folder
