"""What settings and their help say of plug-ins agrees with what is registered."""

from netslim.deploy.target import TARGETS
from netslim.models.registry import LIBRARIES
from netslim.pruning.criteria import CRITERIA
from netslim.stages.shared import plugins
from netslim.transfers.strategies import STRATEGIES


def test_the_declared_names_are_the_registered_ones() -> None:
    assert plugins.CRITERIA.names() == sorted(CRITERIA.names())
    assert plugins.LIBRARIES.names() == sorted(LIBRARIES.names())
    assert plugins.STRATEGIES.names() == sorted(STRATEGIES.names())
    assert plugins.TARGETS.names() == sorted(TARGETS.names())


def test_libraries_and_targets_in_words() -> None:
    assert plugins.architectures() == "densenet, resnet, vgg, timm/NAME or torchvision/NAME"
    assert plugins.engines() == ["eager", "compiled", "executorch", "litert", "onnxruntime", "openvino"]
    assert plugins.suffixes() == [".onnx", ".pt2"]
    assert plugins.summarised(plugins.TARGETS) == [
        "eager (PyTorch code)",
        "executorch (for phones)",
        "litert (TensorFlow Lite)",
        "onnx",
        "openvino",
        "pt2",
        "safetensors (to train on)",
    ]
