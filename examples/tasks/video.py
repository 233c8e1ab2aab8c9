"""Video: torchvision's r3d_18 tells which way a square moves.

python examples/tasks/video.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.video import r3d_18

import netslim
from netslim.cost import measure_latency

WAYS = ((0, 1), (0, -1), (1, 0), (-1, 0))
FRAMES, SIDE = 8, 32


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy clips (N, 3, 8, 32, 32) of a square, and the way that it goes."""
    generator = torch.Generator().manual_seed(seed)
    ways = torch.randint(len(WAYS), (count,), generator=generator)
    clips = torch.rand(count, 3, FRAMES, SIDE, SIDE, generator=generator) * 0.5
    for clip, way in zip(clips, ways.tolist(), strict=True):
        top, left = (int(torch.randint(12, 16, (), generator=generator)) for _ in range(2))
        for frame in range(FRAMES):
            y, x = (start + step * frame for start, step in zip((top, left), WAYS[way], strict=True))
            clip[:, frame, y : y + 6, x : x + 6] += 0.5
    return clips, ways


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """A loop as anyone would write it; the penalty's two lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        clips, ways = drawn(8, seed=step)
        loss = F.cross_entropy(model.train()(clips), ways)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """On 64 clips that no training saw."""
    clips, ways = drawn(64, seed=1_000_000)
    return float((model.eval()(clips).argmax(1) == ways).float().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=120, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="video.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = r3d_18(weights=None, num_classes=len(WAYS))
    train(model, options.steps, rate=3e-4, strength=1e-4)
    print(f"accuracy before {accuracy(model):.3f}")

    plan = netslim.plan(model, example, target_macs=0.5)
    small = netslim.apply(model, plan)
    print(f"accuracy right after {accuracy(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=2e-4)
    print(f"accuracy fine-tuned {accuracy(small):.3f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(example), "after": lambda: small.eval()(example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
