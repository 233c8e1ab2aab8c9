"""What is left of a public network's accuracy right after a pruning, without training -> results/reconstruction.csv.

    python benchmarks/reconstruction.py --weights resnet20-12fca82f.th --images cifar10-jpeg
    python benchmarks/reconstruction.py --weights vgg11=runs/vgg/model_best.pth.tar --dataset fashion-mnist --seeds 1

A `.th` file holds a CIFAR ResNet of He et al. 2016 with shortcuts of option A, of akamaster's pytorch_resnet_cifar10;
its BatchNorm statistics are measured on the images first. Others are netslim's checkpoints, with a name for their rows;
all channels of these may go, and no allocation is drawn. `--dataset` is what they were trained on, `--data` what the
rows call it. Channels go by `taylor` (512 images
with labels), `l2_norm` or `group_l2_norm` (none) until a share of the MACs is left, from all layers or, with `l2_norm`,
also from those within blocks alone, the residual stream (group `bn1`) kept whole. With `sensitivity` the channels of a
layer go by either norm, and how many by what the outputs lose (`allocation="sensitivity"`, same images, no labels).
The small network is judged on all test images: as it was cut; repaired (constants absorbed, statistics measured);
and with its layers fitted to the large one's on the same 512 images. `random_20` draws 20 allocations (the share of its
channels that a layer loses, those with the smallest weights, evenly distributed) and takes the one with the highest
accuracy, repaired, on 1,000 other training images (Li et al. 2020, "EagleEye"). A row per network, criterion, what is
kept, share and seed, which draws the images; the same command goes on where it was cut off.
"""

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import datasets
from torchvision.transforms import v2

import netslim
from netslim.core.protocols import ChannelGroup
from netslim.data import ImageDataset, Split, evaluation_batches, load_dataset
from netslim.pruning.criteria import CRITERIA
from netslim.pruning.criterion import Criterion, CriterionSpec, Evidence
from table import rows_of_these_versions, write_rows

RANDOM, DRAWS, JUDGES = "random_20", 20, 1000  # allocations, and labelled training images that choose among them
STREAM = "bn1"  # the channel group of the residual stream, which goes through the whole network
SENSITIVITY = {"sensitivity": "l2_norm", "sensitivity, group_l2_norm": "group_l2_norm"}  # which channels of a layer go
CUTS = tuple(
    (criterion, kept, macs)
    for macs in (0.8, 0.7, 0.6, 0.5)
    for criterion, kept in (
        ("l2_norm", ""),
        ("l2_norm", STREAM),
        ("taylor", ""),
        ("group_l2_norm", ""),
        *((name, "") for name in SENSITIVITY),
    )
)
RANDOM_CUTS = tuple((RANDOM, kept, macs) for kept in (STREAM, "") for macs in (0.8, 0.7, 0.6))
SEEDS = (1, 2, 3)
IMAGES, BATCH = 512, 128
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what the public networks were trained with
Row = dict[str, Any]
Batches = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """Two convolutions around a shortcut without weights."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.padding = (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.padding:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(y + x)


class ResNet(nn.Module):
    """ResNet-20, 32, 44, 56 or 110 by the number of blocks per stage."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [16, 16, 32, 64]
        for stage in (1, 2, 3):
            first = Block(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            rest = [Block(widths[stage], widths[stage], 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 3, 32, 32)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def public_network(path: Path) -> ResNet:
    """The network in a file; its depth is in the names."""
    state = {name.removeprefix("module."): tensor for name, tensor in _state(path).items()}
    model = ResNet(1 + max(int(name.split(".")[1]) for name in state if name.startswith("layer1.")))
    model.load_state_dict(state)
    return model.eval()


def batches_of_dataset(dataset: ImageDataset, split: Split, count: int | None, seed: int) -> Batches:
    """The same of one of netslim's data sets, normalised as it says."""
    chosen = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
    return [*evaluation_batches(split.part(chosen), dataset, batch_size=BATCH, device="cpu")]


def _state(path: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return found


def batches_of(folder: Path, count: int | None, seed: int) -> Batches:
    """Normalised images and their classes; some at random, or all."""
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    images = datasets.ImageFolder(folder, transform)
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    pairs = [images[number] for number in chosen]
    stacked, labels = torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])
    return [*zip(stacked.split(BATCH), labels.split(BATCH), strict=True)]


def top1(model: nn.Module, test: Batches) -> float:
    """Share of the test images that are recognised."""
    return round(netslim.evaluate(model, test).top1, 4)


def drawn(seed: int) -> CriterionSpec:
    """In every layer the smallest channels go first, and a share of them that is in proportion to a random number."""

    def prepare(model: nn.Module, evidence: Evidence) -> Criterion:
        size = CRITERIA.get("l1_norm").scorer("l1_norm", model, evidence)
        generator = torch.Generator().manual_seed(seed)

        def score(model: nn.Module, group: ChannelGroup) -> Tensor:
            ranks = size(model, group).argsort().argsort() + 1.0
            return ranks / len(ranks) / (torch.rand((), generator=generator) + 1e-3)

        return score

    return CriterionSpec(prepare=prepare, needs_scales=False)


for _number in range(DRAWS):
    CRITERIA.register(f"drawn_{_number}")(drawn(_number))


def best_drawn(model: nn.Module, share: float, kept: list[str], train: Batches, judges: Batches) -> netslim.PrunePlan:
    """The plan of the allocation that is best after its statistics are measured."""
    found = []
    for number in range(DRAWS):
        plan = netslim.plan(model, train[0][0][:1], target_macs=share, criterion=f"drawn_{number}", ignore=kept)
        small = netslim.apply(model, plan)
        netslim.repair_(small, model, train)
        found.append((top1(small, judges), -number, plan))
    return max(found, key=lambda each: each[:2])[2]


def plan_of(
    model: nn.Module, criterion: str, kept: list[str], share: float, train: Batches, judges: Batches
) -> netslim.PrunePlan:
    """What goes by one of the criteria."""
    if criterion == RANDOM:
        return best_drawn(model, share, kept, train, judges)
    if criterion in SENSITIVITY:
        given: Row = {"allocation": "sensitivity", "batches": [images for images, _ in train], "residual": "couple"}
        return netslim.plan(model, train[0][0][:1], target_macs=share, criterion=SENSITIVITY[criterion], **given)
    labelled = train if criterion == "taylor" else None
    return netslim.plan(
        model, train[0][0][:1], target_macs=share, criterion=criterion, ignore=kept, batches=labelled, residual="couple"
    )


def measured(model: nn.Module, plan: netslim.PrunePlan, train: Batches, test: Batches) -> Row:
    """What one row says of a cut."""
    cut = netslim.apply(model, plan)
    repaired, fitted = copy.deepcopy(cut), copy.deepcopy(cut)
    netslim.repair_(repaired, model, train)
    start = time.perf_counter()
    done = netslim.repair_(fitted, model, train, reconstruct=True)
    seconds = time.perf_counter() - start
    assert done.reconstruction is not None
    return {
        "images": sum(len(images) for images, _ in train),
        "macs": round(plan.after.macs / plan.before.macs, 4),
        "params": round(plan.after.params / plan.before.params, 4),
        "top1_cut": top1(cut, test),
        "top1_repaired": top1(repaired, test),
        "top1_reconstructed": top1(fitted, test),
        "outputs_lack_before": done.reconstruction.before,
        "outputs_lack_after": done.reconstruction.after,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="+", required=True, help="FILE.th, or NAME=FILE of netslim's")
    parser.add_argument("--images", type=Path, default=Path("cifar10-jpeg"))
    parser.add_argument("--dataset")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--data", default="cifar10-jpeg")
    parser.add_argument("--out", type=Path, default=Path("results/reconstruction.csv"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--criteria", nargs="+", default=[*dict.fromkeys(cut[0] for cut in (*CUTS, *RANDOM_CUTS))])
    arguments = parser.parse_args()
    rows = [with_kept(row) for row in rows_of_these_versions(arguments.out)]
    done = {(row["network"], row["criterion"], row["kept"], float(row["share"]), int(row["seed"])) for row in rows}
    dataset = load_dataset(arguments.dataset, arguments.data_dir) if arguments.dataset else None

    def batches(part: str, count: int | None, seed: int) -> Batches:
        if dataset is None:
            return batches_of(arguments.images / part, count, seed)
        return batches_of_dataset(dataset, getattr(dataset, part), count, seed)

    test = batches("test", None, 0)
    for seed in arguments.seeds:
        known = batches("train", IMAGES + JUDGES, seed)
        train, judges = known[: IMAGES // BATCH], known[IMAGES // BATCH :]
        for given in arguments.weights:
            name, model = network(given, train)
            dense = top1(model, test)
            for criterion, kept, share in CUTS + (RANDOM_CUTS if seed == SEEDS[0] else ()):
                wanted = criterion in arguments.criteria and ("=" not in given or not kept)
                if wanted and (name, criterion, kept, share, seed) not in done:
                    row: Row = {"network": name, "data": arguments.data, "criterion": criterion, "kept": kept}
                    row |= {"share": share, "seed": seed, "top1_dense": dense}
                    plan = plan_of(model, criterion, [kept] if kept else [], share, train, judges)
                    row |= measured(model, plan, train, test)
                    rows.append(row)
                    write_rows(arguments.out, rows, show=False)
                    print(row, flush=True)


def network(given: str, train: Batches) -> tuple[str, nn.Module]:
    """A network and what its rows call it."""
    name, _, file = given.rpartition("=")
    if name:
        return name, netslim.load(file).eval()
    path = Path(file)
    model = public_network(path)
    netslim.recalibrate_(model, train)
    return path.stem.partition("-")[0], model


def with_kept(row: Row) -> Row:
    """A row of a file from before something could be kept whole, with the column that says so."""
    first = ("network", "data", "criterion")
    return {**{name: row[name] for name in first}, "kept": row.get("kept", ""), **row}


if __name__ == "__main__":
    main()
