"""Settings of `netslim list`; nothing heavy is imported here, since the command line's help is made from it."""

from netslim.core.config import Setting, StageConfig
from netslim.core.errors import either
from netslim.stages.shared import plugins

KINDS = {
    "criteria": plugins.CRITERIA,
    "datasets": plugins.DATASETS,
    "losses": plugins.LOSSES,
    "metrics": plugins.METRICS,
    "optimizers": plugins.OPTIMIZERS,
    "penalties": plugins.PENALTIES,
    "sources": plugins.LIBRARIES,
    "strategies": plugins.STRATEGIES,
    "targets": plugins.TARGETS,
    "trackers": plugins.TRACKERS,
}
ALL = ("models", "published", *KINDS, "schedules")


class ListConfig(StageConfig):
    """The names that settings take."""

    kind: str | None = Setting(None, f"what to list: {either(ALL)}; default: these words")
    pattern: str | None = Setting(None, "only names that match: '*50*'; a part of a name is enough")
