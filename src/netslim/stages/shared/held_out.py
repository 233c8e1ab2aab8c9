"""Training images that a network's training held out: what is chosen later is judged by them, never by test images."""

import dataclasses
from typing import cast

from netslim.core.checkpoint import Checkpoint
from netslim.data import AnyDataset, AnySplit, Split, UserDataset, choosing_parts
from netslim.data.own.user_data import LoadedSplit
from netslim.stages.shared.config import SEED, VAL_SHARE


def held_out(checkpoint: Checkpoint, dataset: AnyDataset) -> tuple[AnyDataset, AnySplit, str]:
    """The data set without the images that choose, those images, and which they are.

    Of a file that does not say which its training held out, those that `netslim train` would hold out, which the
    network may have seen.
    """
    recorded = checkpoint.provenance.get("config", {})
    known = recorded.get("select_on") == "val" and recorded.get("dataset") == dataset.name
    share, seed = recorded.get("val_share", VAL_SHARE), recorded.get("seed", SEED)
    train, images = choosing_parts(dataset, share if known else VAL_SHARE, seed if known else SEED)
    described = "training images that its training held out" if known else "training images, perhaps seen in training"
    if isinstance(dataset, UserDataset):
        if dataset.val is not None:
            return dataset, images, "val images"
        return dataclasses.replace(dataset, train=cast(LoadedSplit, train)), images, described
    return dataclasses.replace(dataset, train=cast(Split, train)), images, described
