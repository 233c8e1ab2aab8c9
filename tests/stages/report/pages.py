"""`netslim report` on some folders, and the page that it has written."""

from pathlib import Path
from typing import Any

from netslim.stages.report import run as report
from netslim.stages.report.config import ReportConfig


def make(out: Path, *folders: Path, data: Path | None, **given: Any) -> tuple[dict[str, Any], str]:
    config = ReportConfig(folders=[*folders], out=out, data_dir=data, device="cpu", **given)
    return report.run(config), out.read_text()
