"""Records what the original's prune scripts do, as `original_expectations.json`.

    python tests/conformance/record_original.py CHECKOUT

CHECKOUT is a clone of the original implementation (Eric-mingjie, network-slimming). Its scripts run as they are, but
for what torch has removed since 2018 and for the graphics card; their data set is replaced by a few random images.
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
from original_families import FAMILIES
from original_format import (
    EXPECTATIONS,
    RUNS,
    TIED,
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


def run_script(checkout: Path, arch: str, depth: int, percent: float, state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The script's variables after a run, the `file` that it wrote, and the exception that ended it as `crash`."""
    script = FAMILIES[arch].script
    source = (checkout / script).read_text()
    for old, new in REPLACED.items():
        if old not in source:
            raise SystemExit(f"{checkout}/{script} does not hold '{old}': is it the original?")
        source = source.replace(old, new)
    variables: dict[str, Any] = {"__name__": "__main__", "crash": None}
    with tempfile.TemporaryDirectory() as folder:
        torch.save({"epoch": 1, "best_prec1": 0.5, "state_dict": state}, f"{folder}/model_best.pth.tar")
        sys.argv = [script, "--dataset", "cifar10", "--depth", str(depth), "--percent", str(percent)]
        sys.argv += ["--model", f"{folder}/model_best.pth.tar", "--save", folder, "--no-cuda"]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, script, "exec"), variables)  # noqa: S102  (the file that was named)
        except (RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
            variables["crash"] = type(error).__name__
        written = Path(folder) / "pruned.pth.tar"
        variables["file"] = torch.load(written) if written.exists() else None
    return variables


def expectation(checkout: Path, arch: str, depth: int, percent: float, levels: int | None = None) -> dict[str, Any]:
    """One recorded run."""
    ran = run_script(checkout, arch, depth, percent, make_state(arch, depth, levels=levels))
    masks = [mask.bool().numpy() for mask in ran["cfg_mask"]]
    record = {"arch": arch, "depth": depth, "percent": percent, "levels": levels, "crash": ran["crash"]}
    record |= {"cfg": ran["cfg"], "masks": digest(masks)}
    if ran["file"]:
        shapes = {name: tuple(value.shape) for name, value in ran["file"]["state_dict"].items()}
        if list(shapes.items()) != list(state_shapes(arch, depth, cfg=ran["cfg"]).items()):
            raise SystemExit("the original's tensors are not those of original_families.py")
        record["file"] = state_digest(ran["file"]["state_dict"])
        record["parameters"] = ran["num_parameters"]
    if not ran["crash"]:
        model = ran["newmodel"].eval()
        with torch.no_grad():
            logits = model(fixed_images())
        record["logits"] = [round(value, 7) for value in logits.flatten().tolist()]
    return record


def main() -> None:
    """Runs every case and writes one line per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    checkout = parser.parse_args().checkout
    sys.path.insert(0, str(checkout))
    torchvision.datasets.CIFAR10 = RandomImages
    cases = []
    for arch, runs in RUNS.items():
        cases += [expectation(checkout, arch, depth, percent) for depth, all_of in runs.items() for percent in all_of]
        cases.append(expectation(checkout, arch, TIED[arch], TIED_PERCENT, levels=16))
    EXPECTATIONS.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


if __name__ == "__main__":
    main()
