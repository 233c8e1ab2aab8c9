"""Settings of `netslim report`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import IN_FOLDERS, Setting
from netslim.core.overwrites import Use
from netslim.core.runs.file_names import PAGE
from netslim.stages.shared import plugins
from netslim.stages.shared.config import TaskConfig


class ReportConfig(TaskConfig):
    """One page of one or several runs."""

    folders: list[Path] = Setting(..., "folders of runs, or one that holds such folders", reads=IN_FOLDERS)
    out: Path | None = Setting(
        None, "the page, an .html file; default: report.html in the folder, of several in the current one", writes=True
    )
    images: bool = Setting(
        True, "run the networks before and after on the test images: confusion matrix and examples", group="Data"
    )
    bench: bool = Setting(False, "measure the latency of both networks, into the folder bench beside the page")
    dataset: str | None = Setting(
        None, f"data set of the test images; default: the one in the file; or {plugins.OWN}", group="Data"
    )
    test_batch_size: int = Setting(256, "images per batch", ge=1, le=1_000_000)

    @property
    def page(self) -> Path:
        """The page: as given, or in the folder."""
        return self.out or (self.folders[0] if len(self.folders) == 1 else Path()) / PAGE

    def writes(self) -> list[Use]:
        """The page, also where nobody named it, and the benchmark beside it."""
        page = Use(setting="out", path=self.page)
        return [page, Use(setting="bench", path=self.page.parent / "bench", names=("bench.*",))][: 1 + self.bench]
