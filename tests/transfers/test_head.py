"""Where classifiers are, and what they start from."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

from netslim.core.errors import DataError, UsageError
from netslim.models import create_model
from netslim.transfers.head import class_means_, classifiers, zero_

timm = pytest.importorskip("timm")


class Features(nn.Module):
    """The classifier sees the input itself: (N, 2, 1, 1) -> (N, 2) -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.9)
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.drop(x.flatten(1)))
        return logits


def points(*coordinates: tuple[float, float]) -> Tensor:
    return torch.tensor(coordinates, dtype=torch.float32).view(-1, 2, 1, 1)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: create_model("resnet", depth=11), "fc"),
        (torchvision.models.resnet18, "fc"),
        (lambda: timm.create_model("test_resnet"), "fc"),
        (lambda: timm.create_model("resnetv2_18"), "head.fc"),
        (lambda: timm.create_model("legacy_seresnet18"), "last_linear"),
        (torchvision.models.squeezenet1_1, "classifier.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_classifier_of_every_kind_of_network(build: Callable[[], nn.Module], name: str) -> None:
    model = build()
    assert classifiers(model) == {name: model.get_submodule(name)}
    zero_(model)
    assert not model.eval()(torch.randn(1, 3, 32, 32)).any()


def test_a_network_without_a_classifier() -> None:
    with pytest.raises(UsageError) as error:
        classifiers(nn.Sequential(nn.BatchNorm2d(1)))
    assert str(error.value) == "Sequential ends in no linear layer or convolution, so it has no classifier to start"


@pytest.mark.parametrize(
    ("name", "size", "found"),
    [
        ("deit_tiny_distilled_patch16_224", 32, ["head", "head_dist"]),
        ("levit_128s", 224, ["head.linear", "head_dist.linear"]),
    ],
)
def test_a_network_that_was_distilled_has_two(name: str, size: int, found: list[str]) -> None:
    model = timm.create_model(name, num_classes=3, img_size=size)
    assert list(classifiers(model)) == found
    zero_(model)
    assert not model.eval()(torch.randn(1, 3, size, size)).any()
    with pytest.raises(UsageError, match=r" has 2 classifiers, class means are for one: start at zero$"):
        class_means_(model, [])


def test_class_means_in_closed_form() -> None:
    """Means (4, 0) and (-2, 0), their mean (1, 0); within the classes the x vary by 1, the y by 9: v is that of x."""
    model = Features().train()
    batches = [
        (points((5, 3), (-1, 3)), torch.tensor([0, 1])),
        (points((3, -3), (-3, -3)), torch.tensor([0, 1])),
    ]
    class_means_(model, batches)
    assert model.fc.weight.tolist() == [[3, 0], [-3, 0]]
    assert model.fc.bias.tolist() == [(1 - 16) / 2, (1 - 4) / 2]
    assert model.training
    assert model.drop.training
    logits = model.eval()(points((1, 77)))
    assert logits[0, 0] == logits[0, 1]  # half-way between the means


def test_the_logits_are_log_likelihoods_of_normal_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(20_000) % 3
    means = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    features = means[labels] + 1.5 * torch.randn(len(labels), 2, generator=generator)
    model = Features()
    model.fc = nn.Linear(2, 3)
    class_means_(model, [(features.view(-1, 2, 1, 1), labels)])
    test = 4 * torch.randn(50, 2, generator=generator)
    expected = (-torch.cdist(test, means).square() / (2 * 1.5**2)).softmax(1)
    found = model.eval()(test.view(-1, 2, 1, 1)).softmax(1)
    assert torch.allclose(found, expected, atol=0.03)


def test_classes_without_spread() -> None:
    model = Features()
    class_means_(model, [(points((1, 0), (0, 1)), torch.tensor([0, 1]))])
    assert model.fc.weight.isfinite().all()
    assert model.eval()(points((1, 0), (0, 1))).argmax(1).tolist() == [0, 1]
    class_means_(model, [(points((1, 1), (1, 1)), torch.tensor([0, 1]))])
    assert not model.eval()(points((1, 0))).any()


def test_a_class_without_images() -> None:
    model = Features()
    before = model.fc.weight.clone()
    with pytest.raises(DataError, match=r"^there are no images of class 1, so it has no mean$"):
        class_means_(model, [(points((1, 0)), torch.tensor([0]))])
    assert torch.equal(model.fc.weight, before)
    assert not model.fc._forward_pre_hooks


def test_a_classifier_that_is_a_convolution() -> None:
    model = create_model("timm/resnetv2_18", num_classes=2, in_channels=1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 1, 32, 32, generator=generator)
    labels = torch.arange(8) % 2
    class_means_(model, [(images, labels)])
    assert (model.eval()(images).argmax(1) == labels).float().mean() > 0.7
