"""A part of Fashion-MNIST for slow machines: the first images of its files, in files of the same kind."""

import argparse
import os
from pathlib import Path

from netslim.data import load_dataset
from netslim.data.dataset import Split

NAMES = {"train": "train", "test": "t10k"}


def use_part(args: argparse.Namespace) -> None:
    """Points `args.data_dir` to the first `args.images` images, and half as many to test on, if that is asked for."""
    if args.images is None:
        return
    if args.dataset != "fashion-mnist":
        raise SystemExit(f"--images is for fashion-mnist, not for {args.dataset}")
    whole = load_dataset("fashion-mnist", args.data_dir or Path("data"))
    args.data_dir = args.work / "images"
    folder = args.data_dir / "FashionMNIST" / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", args.images), ("test", args.images // 2)):
        write_part(getattr(whole, part), count, folder / f"{NAMES[part]}-{{}}-ubyte")
    os.environ["NETSLIM_UNVERIFIED_DATA"] = "1"  # a part has another hash


def write_part(split: Split, count: int, path: Path) -> None:
    """The first `count` images and labels as idx files."""
    images, labels = split.images[:count, 0].numpy(), split.labels[:count].numpy().astype("uint8")
    for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
        sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
        Path(str(path).format(kind)).write_bytes(bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes())
