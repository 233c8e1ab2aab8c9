"""A network whose copies in several processes learn together, each from its part of a batch."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netslim.core.processes.distributed import ALONE, World
from netslim.training.processes.sync_bn import SyncedBatchNorm


class Replica:
    """This process's copy of a network. Alone, it is the network itself.

    DistributedDataParallel averages the gradients over the processes while the last part of a batch goes backward. It
    wraps the network in here only: names, checkpoints and everything that looks at the network see the bare one.

    Args:
        model: on its device, in its memory layout; gets the weights of the first process.
        world: the processes.
        sync_bn: BatchNorm statistics over all processes instead of one each.
    """

    def __init__(self, model: nn.Module, world: World = ALONE, *, sync_bn: bool = False) -> None:
        self.model = model
        self.world = world
        self._sync_bn = sync_bn and world.size > 1
        self._parallel = None
        if world.size > 1:
            self._parallel = DistributedDataParallel(model, process_group=world.steps)

    @contextmanager
    def part(self, *, last: bool) -> Iterator[None]:
        """Forward and backward of one part of a batch; the `last` one makes the gradients' average."""
        with ExitStack() as stack:
            if self._parallel is not None and not last:
                stack.enter_context(self._parallel.no_sync())
            yield

    def __call__(self, *inputs: Any, **named: Any) -> Tensor:
        """Logits (N, classes) of this process's images (N, C, H, W); N may be 0 where others have some."""
        network: Any = self.model if self._parallel is None else self._parallel
        with ExitStack() as stack:
            if self._sync_bn:
                stack.enter_context(SyncedBatchNorm(self.world))
            logits: Tensor = network(*inputs, **named)
        return logits
