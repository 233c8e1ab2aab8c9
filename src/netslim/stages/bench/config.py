"""Settings of `netslim bench`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import IN_FOLDERS, Setting
from netslim.core.errors import either
from netslim.stages.shared import plugins
from netslim.stages.shared.config import NetworkConfig


class BenchConfig(NetworkConfig):
    """Speed and memory of networks side by side."""

    files: list[Path] = Setting(
        ...,
        f"checkpoints (.pth.tar), exported folders, {either(['.safetensors', *plugins.suffixes()])}; "
        "the first is the baseline",
        reads=IN_FOLDERS,
    )
    engines: str = Setting("eager,onnxruntime", f"what runs them: {', '.join(plugins.engines())}; with commas between")
    batch_sizes: str = Setting("1,128", "images per call, with commas between")
    threads: str | None = Setting(None, "processor threads, with commas between; default: all cores")
    image_size: int | None = Setting(None, "side of the square images; default: the first file's", ge=1)
    seconds: float = Setting(1.0, "measured time per file, engine, batch size and number of threads", gt=0)
    trust: bool = Setting(False, "run the code in folders of target eager; only for folders whose origin you trust")
    memory: bool = Setting(True, "measure peak memory, in a process of its own for each")
    save: Path = Setting(Path("bench"), "folder for bench.csv and bench.png", free=True, writes=("bench.*",))
