"""Records what the original's `resprune.py` does, as `original_expectations.json`.

    python tests/conformance/record_original.py CHECKOUT

CHECKOUT is a clone of the original implementation (Eric-mingjie, network-slimming). Its script runs as it is, but for
what torch has removed since 2018 and for the graphics card; its data set is replaced by a few random images.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torchvision
from original_format import (
    DEPTHS,
    EXPECTATIONS,
    PERCENTS,
    TIED_PERCENT,
    digest,
    fixed_images,
    make_state,
    state_digest,
    state_shapes,
)

REPLACED = {
    ".float().cuda()": ".float()",
    "Variable(data, volatile=True), Variable(target)": "data, target",
}


class RandomImages(torch.utils.data.Dataset):
    """Four images in place of CIFAR-10."""

    def __init__(self, *args: object, **options: object) -> None:
        self.images = fixed_images(4)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.images[index], index


def run_resprune(checkout: Path, depth: int, percent: float, state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The script's variables after a run, with the exception that ended it (or None) as `crash`."""
    source = (checkout / "resprune.py").read_text()
    for old, new in REPLACED.items():
        if old not in source:
            raise SystemExit(f"{checkout}/resprune.py does not hold '{old}': is it the original?")
        source = source.replace(old, new)
    variables: dict[str, Any] = {"__name__": "__main__", "crash": None}
    with tempfile.TemporaryDirectory() as folder:
        torch.save({"epoch": 1, "best_prec1": 0.5, "state_dict": state}, f"{folder}/model_best.pth.tar")
        sys.argv = ["resprune.py", "--dataset", "cifar10", "--depth", str(depth), "--percent", str(percent)]
        sys.argv += ["--model", f"{folder}/model_best.pth.tar", "--save", folder, "--no-cuda"]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, "resprune.py", "exec"), variables)  # noqa: S102  (the file that was named)
            variables["file"] = torch.load(f"{folder}/pruned.pth.tar")
        except (RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
            variables["crash"] = type(error).__name__
    return variables


def expectation(checkout: Path, depth: int, percent: float, levels: int | None = None) -> dict[str, Any]:
    """One recorded run."""
    ran = run_resprune(checkout, depth, percent, make_state(depth, levels=levels))
    masks = [mask.bool().numpy() for mask in ran["cfg_mask"]]
    record = {"depth": depth, "percent": percent, "levels": levels, "crash": ran["crash"]}
    record |= {"cfg": ran["cfg"], "masks": digest(masks)}
    if not ran["crash"]:
        shapes = {name: tuple(value.shape) for name, value in ran["file"]["state_dict"].items()}
        if list(shapes.items()) != list(state_shapes(depth, cfg=ran["cfg"]).items()):
            raise SystemExit("the original's tensors are not those of original_format.py")
        model = ran["newmodel"].eval()
        with torch.no_grad():
            logits = model(fixed_images())
        record["file"] = state_digest(ran["file"]["state_dict"])
        record["parameters"] = ran["num_parameters"]
        record["logits"] = [round(value, 7) for value in logits.flatten().tolist()]
    return record


def main() -> None:
    """Runs every case and writes one line per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    checkout = parser.parse_args().checkout
    sys.path.insert(0, str(checkout))
    torchvision.datasets.CIFAR10 = RandomImages
    cases = [expectation(checkout, depth, percent) for depth in DEPTHS for percent in PERCENTS]
    cases.append(expectation(checkout, 20, TIED_PERCENT, levels=16))
    EXPECTATIONS.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
