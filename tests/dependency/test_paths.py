"""Networks that decide by values: what is cut is right on every path, and what can't be known stays or is refused."""

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn

import netslim
from netslim.core.errors import NetslimWarning, UsageError
from netslim.pruning import plan, plan_from_dict
from netslim.pruning.verify import masked

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def lively(model: nn.Module) -> nn.Module:
    """With random scales, shifts and statistics, in eval mode."""
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, 0.1, 0.3)  # no channel is dead
            nn.init.normal_(norm.running_mean, std=0.1)
    return model.eval()


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Body(nn.Module):
    """Two blocks, of whose channels a forward of its own makes something."""

    def __init__(self, forward: Callable[["Body", Tensor], object], ends: int = 2) -> None:
        super().__init__()
        self.first, self.second = block(3, 8), block(8, 6)
        self.last = nn.Conv2d(6, ends, 1)
        self.own = forward

    def forward(self, x: Tensor) -> object:
        return self.own(self, x)


def pruned(model: nn.Module, example: object = IMAGES, percent: float = 0.5) -> tuple[nn.Module, netslim.PrunePlan]:
    """The network at half of its channels; what `apply` proves is proven."""
    decided = plan(lively(model), example, percent=percent)
    small = netslim.apply(model, decided)
    assert netslim.verify(model, small, example).holds
    return small, decided


def widths(small: nn.Module) -> list[int]:
    return [module.num_features for module in small.modules() if isinstance(module, nn.BatchNorm2d)]


class Branches(nn.Module):
    """Takes one of two ways, by the mean of the image, and looks for more than one thing on the second."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b, self.c = block(3, 8), block(8, 8), block(8, 8), block(8, 8)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        if x.mean() > 0:
            y = self.a(y) + y
        elif x.std() > 2:
            y = self.b(y)
        else:
            y = self.c(y)
        found: Tensor = self.last(y)
        return found


@pytest.mark.parametrize("sign", [-1, 1])
def test_all_branches_are_cut_alike_whichever_the_example_takes(sign: int) -> None:
    model = lively(Branches())
    decided = plan(model, sign * IMAGES.abs(), percent=0.5)
    small, reference = netslim.apply(model, decided), masked(model, decided)
    assert max(widths(small)) < 8
    for images in (IMAGES.abs(), -IMAGES.abs(), -3 * IMAGES.abs() ** 3):
        assert torch.allclose(small.eval()(images), reference.eval()(images), atol=1e-5)


def detect(self: Body, x: Tensor) -> list[dict[str, Tensor]]:
    """Scores and boxes from the channels of a map, as detectors take them."""
    scores, *boxes = self.last(self.second(self.first(x))).flatten(2).unbind(1)
    corners = torch.stack([boxes[0], boxes[1], boxes[0] + boxes[2].exp(), boxes[1] + boxes[3].exp()], -1)
    found = []
    for score, box in zip(scores.sigmoid(), corners, strict=True):
        keep = score > 0.4
        score, box = score[keep], box[torch.where(keep)[0]]
        score, order = score.topk(min(20, len(score)))
        kept = torchvision.ops.nms(box[order], score, 0.5)
        found.append({"scores": score[kept], "boxes": box[order][kept]})
    return found


def test_a_detector_is_cut_and_what_decides_stays() -> None:
    small, decided = pruned(Body(detect, 5))
    assert sum(widths(small)) < 14
    assert [(part.name, part.channels) for part in decided.left_alone] == [("last", 5)]


def test_images_of_several_sizes_in_a_list() -> None:
    def batched(self: Body, images: Tensor) -> list[Tensor]:
        room = images[0].new_zeros(len(images), 3, 10, 10)
        for place, image in zip(room, images, strict=True):
            place[:, : image.shape[1], : image.shape[2]].copy_(image)
        found = self.last(self.second(self.first(room)))
        return [own[:, own[0] > 0] for own in found]

    example = ([IMAGES[0], IMAGES[1, :, :6]],)
    small, decided = pruned(Body(batched), example)
    assert sum(widths(small)) < 14
    assert decided.before.macs == 10 * 10 * (27 * 8 + 72 * 6 + 12)  # of one image


def test_rows_that_are_found_keep_their_channels() -> None:
    class Rows(Body):
        def __init__(self) -> None:
            super().__init__(type(self).look)
            self.fc = nn.Linear(6, 3)

        def look(self, x: Tensor) -> Tensor:
            y = self.second(self.first(x))
            strong = torch.where(self.last(y).flatten(1).amax(1).repeat(3) > -1e3)[0] % len(y)
            rows = torch.zeros(len(strong), y.shape[1], 2, 2)
            rows[strong.argsort()] = nn.functional.adaptive_avg_pool2d(y, 2)[strong]
            found: Tensor = self.fc(rows.mean((2, 3)))
            return found

    small, _ = pruned(Rows(), percent=0.3)
    assert small.fc.in_features < 6


def test_channels_that_are_chosen_by_values_stay() -> None:
    def chosen(self: Body, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        found: Tensor = y[:, y.mean((0, 2, 3)) > 0].sum(1)
        return self.last(y).sum(1) + found

    small, _ = pruned(Body(chosen), percent=0.3)
    assert widths(small)[1] == 6


FILLS: dict[str, Callable[[Tensor, Tensor], None]] = {
    "rows of a constant": lambda places, mask: places.__setitem__(mask, 63),
    "by a tensor": lambda places, mask: places.__setitem__(mask, torch.tensor(63)),
    "the last dimension": lambda places, mask: places.__setitem__((slice(None), mask[0]), 63),
    "the first dimension": lambda places, mask: places.__setitem__(mask[:, 0], 63),
}


@pytest.mark.parametrize("name", FILLS)
def test_a_number_for_all_that_a_mask_chooses_decides_nothing(name: str) -> None:
    """As where neighbours of points that are too far away get a number by which they are sorted out."""

    def nearest(self: Body, x: Tensor) -> Tensor:
        y = self.second(self.first(x)).flatten(2)
        places = torch.arange(64).to(x.device).repeat(len(x), 1)
        FILLS[name](places, x.flatten(2).sum(1) > 0)
        found: Tensor = self.last(y.gather(2, places[:, None].expand(y.shape))[..., None])
        return found if found.isfinite().all() else found * 0

    small, _ = pruned(Body(nearest))
    assert sum(widths(small)) < 14


def test_channels_that_a_mask_chooses_get_no_number_but_zero() -> None:
    def chosen(self: Body, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        y[x.sum((2, 3)).repeat(1, 2) > 0] = 1.0
        found: Tensor = self.last(y)
        return found if found.isfinite().all() else found * 0

    small, _ = pruned(Body(chosen), percent=0.3)
    assert widths(small)[1] == 6


STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "the largest": lambda y: y.flatten(2).max(2)[0][..., None, None],
    "a threshold": lambda y: y * (y > 0.01),
    "rounded down": lambda y: y + (8 * y).floor() / 8,
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_decided_in_each_channel_lets_channels_go(name: str) -> None:
    def looked(self: Body, x: Tensor) -> Tensor:
        found: Tensor = self.last(STEPS[name](self.second(self.first(x))))
        return found if found.isfinite().all() else found * 0

    small, _ = pruned(Body(looked))
    assert sum(widths(small)) < 14


def test_costs_are_those_of_the_example() -> None:
    def twice(self: Body, x: Tensor) -> Tensor:
        y = self.second(self.first(x))
        rows = torch.where(x.flatten(1).amax(1) > -9)[0]
        found: Tensor = self.last(y[rows]).sum()
        return found

    decided = plan(lively(Body(twice)), IMAGES, percent=0.3)
    assert decided.before.macs == 64 * (27 * 8 + 72 * 6 + 12)


def test_what_follows_a_number_that_is_read_stays() -> None:
    def scaled(self: Body, x: Tensor) -> Tensor:
        y = self.first(x)
        found: Tensor = self.last(self.second(y / max(float(x.abs().max()), 1.0)))
        return found

    model = lively(Body(scaled))
    with pytest.raises(UsageError, match=r"has no channels that can go: .* may depend on the number that is read at"):
        plan(model, IMAGES, percent=0.3)


def test_numbers_read_at_the_end_do_no_harm() -> None:
    def listed(self: Body, x: Tensor) -> tuple[Tensor, list[float]]:
        found: Tensor = self.last(self.second(self.first(x)))
        return found, found.mean((1, 2, 3)).tolist()

    small, _ = pruned(Body(listed))
    assert sum(widths(small)) < 14


def test_ways_by_how_much_was_found_are_cut_alike() -> None:
    class Counting(Branches):
        def forward(self, x: Tensor) -> Tensor:
            y = self.stem(x)
            found = len(
                torch.where(x.flatten(1).amax(1) > 2.5)[0]
            )  # a plain number: Python does not say who asks for it
            if found == 0:
                y = self.a(y) + y
            elif found == 1:
                y = self.b(y)
            else:
                y = self.c(y)
            out: Tensor = self.last(y)
            return out

    model = lively(Counting())
    decided = plan(model, IMAGES / 9, percent=0.5)
    small, reference = netslim.apply(model, decided), masked(model, decided)
    for images in (IMAGES / 9, torch.stack([IMAGES[0] * 9, IMAGES[1] / 9]), IMAGES * 9):
        assert torch.allclose(small(images), reference(images), atol=1e-5)


def test_channels_that_nothing_reads_on_the_paths_found_stay() -> None:
    def counted(self: Body, x: Tensor) -> Tensor:
        y = self.first(x)
        out: Tensor = self.last(self.second(y))
        if len(torch.where((x > 0).flatten())[0]) == 100:  # one count of 384
            return out + y.mean()
        return out

    class Unread(Body):
        def __init__(self) -> None:
            super().__init__(counted)
            self.aside = block(3, 8)

        def forward(self, x: Tensor) -> object:
            y = self.aside(x)
            return super().forward(x) if y.shape[1] == 8 else y

    _, decided = pruned(Unread())
    assert [part.reason for part in decided.left_alone if part.name == "aside.0"] == [
        "is read on no path that was found"
    ]


def test_a_layer_on_no_path_that_was_found_is_refused() -> None:
    def rare(self: Body, x: Tensor) -> Tensor:
        y = self.first(x)
        if float(x.mean()) > 1e6:
            return self.second(y * 2)
        found: Tensor = y.mean(1)
        return found

    model = lively(Body(rare))
    with pytest.raises(UsageError, match=r"on no path that was found `second\.0\.weight` takes part"):
        plan(model, IMAGES, percent=0.3)


def test_too_many_paths_are_refused() -> None:
    def many(self: Body, x: Tensor) -> Tensor:
        y = self.last(self.second(self.first(x)))
        exec("\n".join(f"if y[0, 0, 0, {i % 8}] > {i}: y = y + 1" for i in range(30)), {}, {"y": y})  # noqa: S102
        out: Tensor = y
        return out

    with pytest.raises(UsageError, match="Body decides by values on more than 24 paths: too many to follow"):
        plan(lively(Body(many)), IMAGES, percent=0.3)


def test_a_loop_that_goes_on_by_values() -> None:
    def loop(self: Body, x: Tensor) -> Tensor:
        y = self.first(x)
        while y.abs().mean() > 0.05:
            y = y / 2
        found: Tensor = self.last(self.second(y))
        return found

    small, _ = pruned(Body(loop))
    assert sum(widths(small)) < 14


class Losing(Body):
    """Boxes in evaluation, a loss in training, as detectors do."""

    def __init__(self) -> None:
        super().__init__(detect, 5)

    def forward(self, x: Tensor, targets: Tensor | None = None) -> object:
        if not self.training:
            return super().forward(x)
        if targets is None:
            raise ValueError("no targets")
        if not (targets >= 0).all():
            raise ValueError("negative targets")
        scores = self.last(self.second(self.first(x)))[:, 0].flatten(1)
        right = scores > targets[:, None]
        return {"loss": (scores[right].mean() if right.any() else scores.sum()) + len(torch.where(right)[0])}


def test_losses_are_followed_where_there_are_targets_and_a_note_says_where_not() -> None:
    small, decided = pruned(Losing(), (IMAGES, torch.tensor([0.1, 0.2])))
    assert not decided.notes
    small.train()(IMAGES, torch.tensor([0.1, 0.2]))["loss"].backward()
    assert small.first[0].weight.grad is not None
    again = plan_from_dict(decided.to_dict())
    assert netslim.apply(lively(Losing()), again).first[0].weight.shape == small.first[0].weight.shape
    with pytest.warns(NetslimWarning, match="does in evaluation was followed, since it does not train .* no targets"):
        plan(lively(Losing()), (IMAGES,), percent=0.5)


class Judged(nn.Module):
    """What it gives in training is a loss, for which there have to be targets."""

    def __init__(self, says: str) -> None:
        super().__init__()
        self.stem, self.body, self.out = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)
        self.says = says

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        features = self.body(self.stem(x)).relu()
        if self.training:
            if targets is None:
                raise ValueError(self.says)
            return (self.out(features) - targets).square().mean()
        found: Tensor = self.out(features)
        return found


@pytest.mark.parametrize(("says", "reason"), [("", "ValueError"), ("no targets", "ValueError: no targets")])
def test_what_needs_targets_in_training_alone_is_followed_in_evaluation(says: str, reason: str) -> None:
    with pytest.warns(NetslimWarning, match=f"only what Judged does in evaluation was followed, .*\\({reason}\\)"):
        decided = plan(lively(Judged(says)), IMAGES, percent=0.4)
    model = lively(Judged(says))
    small = netslim.apply(model, decided)
    assert netslim.verify(model, small, IMAGES).holds
    assert small.train()(IMAGES, torch.zeros(2, 4, *(side - 2 for side in IMAGES.shape[2:]))).isfinite()


def test_what_trains_but_not_on_shapes_is_refused() -> None:
    class Counted(Judged):
        def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
            found = super().forward(x, x.new_zeros(()) if targets is None else targets)
            return found * len(x.numpy()) if self.training else found

    with pytest.raises(UsageError, match="Counted does not run on an input"):
        plan(lively(Counted("")), IMAGES, percent=0.4)


def test_a_network_without_values_is_refused_as_before() -> None:
    with torch.device("meta"):
        model = Branches()
    with pytest.raises(UsageError, match="depends on the values that it computes \\(_local_scalar_dense\\)"):
        plan(model, IMAGES, percent=0.5)
