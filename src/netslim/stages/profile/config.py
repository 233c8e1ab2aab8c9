"""Settings of `netslim profile`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.stages.shared.config import NetworkConfig


class ProfileConfig(NetworkConfig):
    """Times of a network's parts in an engine, at several widths."""

    model: Path = Setting(..., "checkpoint of the network", reads=True)
    engine: str = Setting("onnxruntime", "what the network will run on: onnxruntime, openvino, eager or compiled")
    int8: bool = Setting(False, "layers in 8-bit integers, as export --int8 writes them")
    batch_size: int = Setting(1, "images per call", ge=1)
    threads: int | None = Setting(None, "processor threads; default: all cores", ge=1)
    image_size: int | None = Setting(None, "side of the square images; default: the one in the checkpoint", ge=1)
    residual: str | None = Setting(
        None, "residual streams: select, or couple, as prune will be told; default: as the network declares"
    )
    export_to: Path | None = Setting(
        None,
        "folder for the parts as small ONNX files, to be timed on another machine",
        writes=("*",),
        aliases=("--export",),
    )
    import_from: Path | None = Setting(
        None, "times.csv of such a folder, filled in on the other machine", reads=True, aliases=("--import",)
    )
    save: Path | None = Setting(
        None, "file for the table (.json); default: this machine's cache alone", free=True, writes=True
    )
