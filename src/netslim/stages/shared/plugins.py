"""The kinds of plug-ins for settings and their help; nothing is imported for that, see `core/plugins/`."""

from netslim.core.errors import either
from netslim.core.plugins.declarations import Kind

ARCHITECTURES = Kind("ARCHITECTURES", "netslim.models")
CRITERIA = Kind("CRITERIA", "netslim.pruning.criteria")
DATASETS = Kind("DATASETS", "netslim.data")
LIBRARIES = Kind("LIBRARIES", "netslim.models.libraries")
LOSSES = Kind("LOSSES", "netslim.training.losses")
METRICS = Kind("METRICS", "netslim.training.metrics")
OPTIMIZERS = Kind("OPTIMIZERS", "netslim.training.optimizers")
PENALTIES = Kind("PENALTIES", "netslim.training.penalties")
STRATEGIES = Kind("STRATEGIES", "netslim.transfers.strategies")
TARGETS = Kind("TARGETS", "netslim.deploy.targets")
TRACKERS = Kind("TRACKERS", "netslim.report.trackers")


OWN = "code of your own: FILE.py:NAME"


def or_own(kind: Kind) -> str:
    """The names, and that it can be the user's own."""
    return either([*kind.names(), OWN])


def summarised(kind: Kind) -> list[str]:
    """The names, each with its few words: `eager (PyTorch code)`."""
    records = kind.declared()
    return [f"{name} ({record['summary']})" if record.get("summary") else name for name, record in records.items()]


def architectures() -> str:
    """What `--arch` takes: the families, and a library's networks."""
    return either([*ARCHITECTURES.names(), *library_networks()])


def library_networks() -> list[str]:
    """How a library's networks are called: `timm/NAME`."""
    return [f"{library}/NAME" for library in LIBRARIES.names()]


def engines() -> list[str]:
    """What runs networks in files: torch, and what the targets' files are run by."""
    found = [engine for record in TARGETS.declared().values() for engine in record.get("engines", ())]
    return list(dict.fromkeys(found))


def suffixes() -> list[str]:
    """Endings of the targets' files; folders have none."""
    return [record["suffix"] for record in TARGETS.declared().values() if record.get("suffix")]
