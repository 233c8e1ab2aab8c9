"""A network as a flat graph of layers and functions."""

from collections.abc import Callable
from typing import cast

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.nn.utils.rnn import pack_padded_sequence

from netslim.deploy.fx_graph import UntraceableError, capture, clean, index_of, name_of, replace
from netslim.deploy.inference import for_inference
from netslim.models import ChannelSelection

IMAGES = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.selection = ChannelSelection(4)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.Identity(), self.selection)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return cast(Tensor, self.head(x.view(x.size(0), -1)))


def chosen() -> Net:
    model = Net().eval()
    model.selection.select([1, 3])
    return model


def test_a_graph_holds_what_computes_and_no_batch_size() -> None:
    model = chosen().train()
    network = capture(model, IMAGES)
    assert model.training
    assert [name_of(node) for node in network.graph.nodes if node.op not in ("placeholder", "get_attr", "output")] == [
        *("Conv2d", "index_select", "flatten", "Linear"),
    ]
    assert [index.tolist() for node in network.graph.nodes if (index := index_of(node)) is not None] == [[1, 3]]
    assert [name for name, _ in network.named_children()] == ["body_0", "head"]
    five = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(network(five), model.eval()(five))


def test_what_nothing_reads_is_cleaned_away() -> None:
    network = capture(chosen(), IMAGES)
    (head,) = [node for node in network.graph.nodes if name_of(node) == "Linear"]
    replace(head, next(iter(network.graph.nodes)))
    clean(network)
    assert not network.state_dict()
    assert torch.equal(network(IMAGES), IMAGES)


class Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_without_a_fixed_graph_is_named() -> None:
    said = r"^Decides has no fixed graph \(test_fx_graph\.py:\d+, 'return x if x\.sum\(\) > 0 else -x', takes no symbol"
    with pytest.raises(UntraceableError, match=said):
        capture(Decides(), IMAGES)


class Packs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.GRU(4, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x[:, 0], torch.tensor([4, 3]), batch_first=True)
        found: Tensor = self.recurrent(packed)[1]
        return found


def test_the_line_that_takes_no_symbol_is_shown() -> None:
    with pytest.raises(UntraceableError, match=r"\.py:\d+, 'packed = pack_padded_sequence\(x\[:, 0\], .*', takes no"):
        capture(Packs(), IMAGES)


class Loops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([row * len(x) for row in x])


def test_what_is_said_of_a_loop_is_one_sentence() -> None:
    said = r"'return torch\.stack\(.*\)', takes no symbol in the place of numbers: Proxy object cannot be iterated\)$"
    with pytest.raises(UntraceableError, match=said):
        capture(Loops(), IMAGES)


class Sums(nn.Module):
    """The first of the summands takes the place of a 0, as in many a WaveNet."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor | int = 0
        for layer in self.layers:
            x = layer(x)
            total = total + x if isinstance(total, Tensor) else x
        return cast(Tensor, total)


def test_a_network_that_asks_whether_a_value_is_a_tensor_is_not_taken_for_another() -> None:
    with pytest.raises(UntraceableError, match=r"^Sums has no fixed graph \(its code does otherwise at symbols\)$"):
        for_inference(Sums(), IMAGES)


def hooked() -> nn.Module:
    block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Identity(), nn.Dropout(0.1))
    block[0].register_forward_hook(lambda module, given, found: found + 1)
    block[2].register_forward_hook(lambda module, given, found: found * 2)
    block[3].register_forward_pre_hook(lambda module, given: (given[0] * 3,))
    return block


def replaced_forward() -> nn.Module:
    block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    conv = cast(nn.Conv2d, block[0])
    conv.forward = lambda x: 3 * nn.functional.conv2d(x, conv.weight)  # type: ignore[method-assign]
    return block


def computed(made: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return nn.Sequential(made(nn.Conv2d(3, 4, 3, padding=1)), nn.BatchNorm2d(4), nn.ReLU())


class OwnMean(nn.Module):
    """A weight that is centred at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.conv.weight - self.conv.weight.mean((1, 2, 3), keepdim=True))


class ActivationFirst(nn.BatchNorm2d):
    """Has an activation as timm's BatchNorms do, which acts before it."""

    def __init__(self) -> None:
        super().__init__(3)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(self.act(x), self.running_mean, self.running_var, self.weight, self.bias)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize(
    "build",
    [
        hooked,
        replaced_forward,
        lambda: computed(parametrizations.spectral_norm),
        lambda: computed(parametrizations.weight_norm),
        lambda: computed(spectral_norm),
        lambda: computed(weight_norm),
        lambda: computed(lambda conv: prune.l1_unstructured(conv, "weight", 0.5)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()),
        OwnMean,
        lambda: nn.Sequential(ActivationFirst(), nn.ReLU()),
    ],
)
def test_layers_with_code_around_them_compute_the_same(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model, images = build(), torch.randn(2, 3, 4, 4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.normal_(module.bias)
            if module.running_mean is not None:
                nn.init.normal_(module.running_mean)
    model.eval()
    expected = model(images).detach()
    torch.testing.assert_close(for_inference(model, images)(images), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(model(images), expected), "the original is as it was"


class AlwaysNormalises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def train(self, mode: bool = True) -> "AlwaysNormalises":
        super().train(mode)
        self.norm.train()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.norm(x))


def test_what_has_no_one_function_is_named() -> None:
    with pytest.raises(UntraceableError, match=r"^'norm' of AlwaysNormalises stays in train mode$"):
        capture(AlwaysNormalises(), IMAGES[:, :3])
    with pytest.raises(UntraceableError, match=r"^'1' is scripted: it has no fixed graph$"):
        capture(nn.Sequential(nn.ReLU(), torch.jit.script(nn.ReLU())), IMAGES)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_a_norm_with_an_activation_in_other_numbers(kind: torch.dtype) -> None:
    """timm's layer becomes a BatchNorm and an activation of the same type."""
    model, images = nn.Sequential(BatchNormAct2d(3)).eval().to(kind), IMAGES.to(kind)
    captured = capture(model, images)
    assert [name_of(node) for node in captured.graph.nodes][1:3] == ["BatchNorm2d", "ReLU"]
    assert torch.equal(captured(images), model(images))
