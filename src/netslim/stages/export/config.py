"""Settings of `netslim export`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.core.errors import either, setting
from netslim.core.overwrites import Use
from netslim.stages.shared import plugins
from netslim.stages.shared.config import JudgedConfig

_OF_IMAGES = ("dataset", "data_dir", "loss", "metric", "metric_mode", "workers")


class ExportConfig(JudgedConfig):
    """A network made for inference, in a file."""

    model: Path = Setting(..., "checkpoint of the network, or an ONNX file", reads=True)
    target: str = Setting("onnx", f"kind of file: {either(plugins.summarised(plugins.TARGETS))}")
    output: Path | None = Setting(
        None,
        f"file ({', '.join(plugins.suffixes())}) or folder to write; default: beside the checkpoint",
        writes=True,
    )
    dataset: str | None = Setting(
        None, f"data set for int8; default: the one in the file; or {plugins.OWN}", group="Data", added=True
    )
    image_size: int | None = Setting(
        None, "side of the square images; default: the one in the checkpoint", group="Form", ge=1
    )
    selection: str | None = Setting(None, "channel selections as gather or zeros; default: zeros", group="Form")
    pad: int | None = Setting(
        None, "widths become multiples of this; default: the fastest of 1, 8, 16, measured", group="Form", ge=1
    )
    layout: str | None = Setting(
        None,
        "memory layout, nchw or nhwc; default: nhwc where the target has it",
        group="Form",
    )
    clamp: bool | None = Setting(
        None,
        "BatchNorm and ReLU before convolutions as one clamp per channel; default: for torch",
        group="Form",
    )
    batch_size: int = Setting(1, "images per call when forms are measured", group="Form", ge=1)
    seconds: float = Setting(0.3, "measured time per form", group="Form", gt=0)
    half: bool = Setting(
        False, "weights of 16 bits, in half the size, computed as before (target onnx)", group="Form", added=True
    )
    int8: bool = Setting(
        False,
        "8-bit integers where they are faster on this machine (targets onnx and openvino)",
        group="Int8",
        added=True,
    )
    int8_always: bool = Setting(
        False, "8-bit integers even where they are slower here, for other machines", group="Int8", added=True
    )
    calibrate: int = Setting(
        256,
        "images for the ranges of activations, held out of training where the file says which were",
        group="Int8",
        added=True,
        ge=1,
    )
    accuracy_drop: float = Setting(
        0.5,
        "largest loss of accuracy allowed for int8, in points, on held-out images that did not calibrate it",
        group="Int8",
        added=True,
        ge=0,
    )
    qat: int = Setting(
        0,
        "epochs of quantization-aware training if int8 alone loses more than --accuracy-drop",
        group="Int8",
        added=True,
        ge=0,
    )

    def notes(self) -> list[str]:
        """Images and what they are judged by are for int8 alone."""
        idle = [] if self.int8 or self.int8_always else [name for name in _OF_IMAGES if name in self.changed()]
        given = "; ".join(setting(name, getattr(self, name)) for name in idle)
        return [f"{given}: it changes nothing without 8-bit integers; type `int8=True`, too"] if idle else []

    def writes(self) -> list[Use]:
        """The output, with the name that it has by default."""
        from netslim.deploy import TARGETS
        from netslim.stages.export.output import output_of

        output = output_of(self.model, self.target, self.output)
        return [Use(setting="output", path=output, names=() if TARGETS.get(self.target).suffix else ("*",))]
