"""The trained source network of `netslim demo`: how it was made.

    netslim train --arch timm/test_resnet --stem cifar --dataset fashion-mnist --epochs 4 --batch-size 128 --lr 0.1 \\
        --schedule onecycle --precision bf16 --seed 1 --save runs/demo-source
    python recipes/demo_source.py runs/demo-source

timm's smallest ResNet (0.4 million parameters), trained on Fashion-MNIST (MIT licence), so that what its transfer to
another data set, the digits, is worth can be seen without a download. Written are its weights with the names and shapes
that timm's network has: the first layer's, which saw grey images, are spread over three colours.
"""

import argparse
import json
from pathlib import Path

from safetensors.torch import save_file

import netslim
from netslim.core.files import file_hash

FOLDER = Path(__file__).parent.parent / "src" / "netslim" / "stages" / "demo"
FIRST = "conv1.0.weight"
CARD = """# The source network of the demo

timm's `test_resnet` ({params:,} parameters with a stem for small images), trained by the command in
`recipes/demo_source.py` on the {images} training images of Fashion-MNIST (Zalando, MIT licence) at 28 x 28 pixels:
{top1:.2%} of its 10,000 test images. Made by netslim's own training from scratch; licence MIT, as netslim. SHA-256 of
`source.safetensors`: `{digest}`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the training")
    folder = parser.parse_args().run
    state = netslim.load(folder / "model_best.pth.tar").state_dict()
    state[FIRST] = (state[FIRST] / 3).expand(-1, 3, -1, -1)
    written = FOLDER / "source.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, written, {"format": "pt"})
    result = json.loads((folder / "run.json").read_text())["result"]
    facts = {"params": result["params"], "images": "54,000", "top1": result["test_top1"], "digest": file_hash(written)}
    (FOLDER / "source.md").write_text(CARD.format(**facts))
    print(f"{written}: {written.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
