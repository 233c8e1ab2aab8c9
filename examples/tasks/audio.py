"""One-dimensional audio: convolutions over a waveform, and a GRU that reads what they give.

python examples/tasks/audio.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.cost import measure_latency

KINDS = ("rising", "falling", "steady", "trembling")
LENGTH = 2000


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy tones (N, 1, 2000) whose pitch does one of four things, and which."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(len(KINDS), (count, 1), generator=generator)
    time, start = torch.linspace(0, 1, LENGTH), 40 + 40 * torch.rand(count, 1, generator=generator)
    slope = torch.tensor([60.0, -30.0, 0.0, 0.0])[kinds]
    tremble = torch.where(kinds == 3, 3 * torch.sin(25 * time), torch.zeros(()))
    tones = torch.sin(6.28 * (start * time + slope * time**2 / 2 + tremble))
    return (tones + 0.5 * torch.randn(count, LENGTH, generator=generator))[:, None], kinds[:, 0]


class Listener(nn.Module):
    """Four strided convolutions with BatchNorm, a GRU over the moments, and a linear layer on its last state."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64, 64)
        self.front = nn.Sequential(
            *(
                nn.Sequential(nn.Conv1d(a, b, 9, 4, 4, bias=False), nn.BatchNorm1d(b), nn.ReLU())
                for a, b in pairwise(widths)
            )
        )
        self.gru, self.head = nn.GRU(64, 32, batch_first=True), nn.Linear(32, len(KINDS))

    def forward(self, waves: Tensor) -> Tensor:
        """Shape: (N, 1, samples) -> (N, kinds)."""
        moments, _ = self.gru(self.front(waves).mT)
        logits: Tensor = self.head(moments[:, -1])
        return logits


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """A loop as anyone would write it; the penalty's two lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        waves, kinds = drawn(16, seed=step)
        loss = F.cross_entropy(model.train()(waves), kinds)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """On 256 tones that no training heard."""
    waves, kinds = drawn(256, seed=1_000_000)
    return float((model.eval()(waves).argmax(1) == kinds).float().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="audio.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = Listener()
    train(model, options.steps, rate=2e-3, strength=1e-3)
    print(f"accuracy before {accuracy(model):.3f}")

    plan = netslim.plan(model, example, target_macs=0.5)
    small = netslim.apply(model, plan)
    print(f"accuracy right after {accuracy(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=1e-3)
    print(f"accuracy fine-tuned {accuracy(small):.3f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(example), "after": lambda: small.eval()(example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
