"""How many images a process must have at least: BatchNorm has no statistics of one value per channel."""

from torch import nn

from netslim.core.errors import UsageError
from netslim.core.networks.copies import copied
from netslim.core.networks.trees import Batch, called
from netslim.core.processes.distributed import World


def least_share(model: nn.Module, images: Batch, world: World, sizes: tuple[int, int], parts: int) -> int:
    """Images that every process needs of every part of a batch: 0 where there is nothing to look after.

    Two are needed where a BatchNorm sees one pixel (the end of a VGG). It is tried only if a batch comes to that.

    Args:
        model: the network; left unchanged.
        images: some of its input, (N, C, H, W), or several inputs.
        world: the processes.
        sizes: images of a batch, and of all batches of an epoch.
        parts: in which a batch is worked off.

    Raises:
        UsageError: a whole batch, or all images together, are too few.
    """
    batch, total = min(sizes), sizes[1]
    least = 1 if world.size > 1 else 0
    smallest = min(min(world.parts(count, parts)) for count in (batch, total % batch or batch)) // world.size
    if smallest < 2 and _needs_two(model, images):
        least = 2
    if least * world.size > min(world.parts(batch, parts)):
        raise UsageError(
            f"`batch_size={sizes[0]}` of {total:,} images leaves a process fewer than {least} images"
            f"{f' of each of {parts} parts' if parts > 1 else ''}, and the network's BatchNorm needs {least}: type "
            f"`batch_size={least * world.size * parts}` or more, or take more images"
        )
    return least


def _needs_two(model: nn.Module, images: Batch) -> bool:
    trial = copied(model).to("meta").train()
    try:
        called(trial, images[:1].to("meta"))
    except ValueError as error:
        return "more than 1 value per channel" in str(error)
    except Exception:  # it may do anything, and has no shapes without numbers: the first step will tell
        return False
    return False
