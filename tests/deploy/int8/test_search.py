"""Which layers stay in float."""

import pytest
import torch
from int8_networks import IMAGES, Net, content

from netslim.deploy.int8.onnx_quantizer import OnnxQuantizer
from netslim.deploy.int8.processor import Integers
from netslim.deploy.int8.request import Quantization
from netslim.deploy.int8.search import Judged, by_harm, fewest, judged, within


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 13])
def test_fewest_is_the_smallest_that_is_enough(limit: int) -> None:
    for right in range(1, limit + 3):
        asked: list[int] = []
        found = fewest(limit, lambda count, right=right, asked=asked: asked.append(count) or count >= right)
        assert found == (right if right < limit else None)
        assert len(set(asked)) == len(asked)
        assert all(1 <= count < limit for count in asked)


def quantizer(model: torch.nn.Module) -> OnnxQuantizer:
    return OnnxQuantizer(content(model), [IMAGES], Integers(activations="QUInt8", seven_bits=False))


def request(model: OnnxQuantizer) -> Quantization:
    """Judged by how far the outputs are from the float model's."""
    right = model.function(model.float_content)(IMAGES)
    return Quantization(images=[IMAGES], judge=lambda run: -float((run(IMAGES) - right).square().mean()))


def uneven() -> torch.nn.Module:
    """`right` has one output that is read with 200 times the weight of others: in int8 it does the most harm."""
    model = Net().eval()
    with torch.no_grad():
        model.head.weight[:, 8:] *= 200
    return model


def test_the_layer_that_does_most_harm_is_first() -> None:
    model = quantizer(uneven())
    assert by_harm(model, request(model))[-1] == "left"


def test_as_few_layers_as_it_takes() -> None:
    model = quantizer(uneven())
    asked = request(model)
    order = by_harm(model, asked)
    least = judged(model, model.model(order[:2]), asked).value
    found = within(model, asked, least, [True])
    assert isinstance(found, Judged)
    assert found.value >= least
    assert found.in_float == tuple(order[: len(found.in_float)]) != ()
    assert judged(model, model.model(order[: len(found.in_float) - 1]), asked).value < least
    assert within(model, asked, 0.0, [True]) is None


def test_agreement_is_the_share_of_equal_predictions() -> None:
    def one(*predictions: int) -> Judged:
        return Judged(content=b"", value=0.0, predictions=(torch.tensor(predictions),))

    assert one(1, 2, 3, 4).agreement(one(1, 2, 0, 4)) == 0.75
    none = Judged(content=b"", value=0.0, predictions=())
    assert none.agreement(one(1)) is None
    assert one(1).agreement(one(1, 2)) is None
