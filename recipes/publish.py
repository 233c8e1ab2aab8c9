"""Puts what a recipe made among the networks that come with netslim, with a card: `netslim.load("published/NAME")`.

netslim slim recipes/published/resnet20-digits-half.toml --save runs/digits-half
python recipes/publish.py runs/digits-half resnet20-digits-half
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import netslim
from netslim.core.checkpoint import read_checkpoint
from netslim.models import published
from netslim.report.tables import percent
from netslim.stages.export.facts import export_facts
from netslim.stages.push.card import card_of
from netslim.stages.shared.datasets import dataset_name
from netslim.stages.shared.example_input import example_input

LICENCE = "mit"
LARGEST = 3_000_000  # bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of `netslim slim`")
    parser.add_argument("name")
    parser.add_argument("--variant", type=int, default=1, help="of a sweep, from 1 on")
    parser.add_argument("--data", help="name of the images, where they are not the data set's own")
    given = parser.parse_args()
    networks = json.loads((given.run / "slim.json").read_text())["result"]["networks"]
    dense, small = networks[2 * given.variant - 2 : 2 * given.variant]
    path = Path(small["file"])
    checkpoint, model = read_checkpoint(path), netslim.load(path)
    folder = Path(published.__file__).parent / given.name
    shutil.rmtree(folder, ignore_errors=True)
    example = example_input(model, checkpoint.dataset, batch=2)
    netslim.export(model, example, folder, "safetensors", facts=export_facts(model, checkpoint, path))
    card = card_of(model, checkpoint, path, f"published/{given.name}", LICENCE)
    card = card.replace("hf://", "").replace(
        "| top-1 |", f"| top-1 of the unpruned | {percent(dense['top1'])} |\n| top-1 |"
    )
    if given.data:
        before, made, after = card.partition("```json")  # settings are as they were typed
        settings, end, limits = after.partition("```\n")
        own = re.compile(rf"\b{dataset_name(checkpoint)}\b(?!-)")
        before, limits = (own.sub(given.data, text) for text in (before, limits))
        card = before + made + settings + end + limits
    card += "\nMade by a recipe in `recipes/published/` and by `recipes/publish.py`.\n"
    (folder / "README.md").write_text(card)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {size:,} bytes{', which is too large to ship' * (size > LARGEST)}")


if __name__ == "__main__":
    main()
