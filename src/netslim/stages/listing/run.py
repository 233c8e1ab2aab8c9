"""`netslim list`: the names that settings take; torch is loaded for the libraries' networks alone."""

import fnmatch
from typing import Any

from netslim.core.errors import unknown_name
from netslim.report.console import say
from netslim.stages.listing.config import ALL, KINDS, ListConfig
from netslim.stages.shared import plugins
from netslim.training.schedule import SCHEDULES

COUNTED = 20  # more names than these are counted
WITHOUT_NORMS = "; those without BatchNorm (most transformers, ConvNeXt ...) are pruned by `criterion='l2_norm'`, say"


def run(config: ListConfig) -> dict[str, Any]:
    """Prints the names of a kind that match, one a line, and what they say of themselves. Returns the names.

    Raises:
        UsageError: an unknown kind.
    """
    if config.kind and config.kind not in ALL:
        raise unknown_name("kind", config.kind, ALL)
    given = config.pattern or ""
    pattern = given if set("*?[") & set(given) else f"*{given}*"
    found = {name: said for name, said in _entries(config.kind).items() if _matches(name, pattern)}
    width = max(map(len, found), default=0)
    for name, said in found.items():
        say(f"{name:{width}}  {said}".rstrip())
    of_libraries = config.kind == "models" and any("/" in name for name in found)
    if len(found) > COUNTED or not found or of_libraries:
        say(f"{len(found):,} {config.kind or 'kinds'}{WITHOUT_NORMS if of_libraries else ''}")
    return {"kind": config.kind, "names": list(found)}


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern is of a name, or of what it is called in its library."""
    return any(fnmatch.fnmatchcase(each, pattern) for each in (name, name.partition("/")[2]))


def _entries(kind: str | None) -> dict[str, str]:
    """Name -> a few words, or none."""
    if not kind:
        return dict.fromkeys(ALL, "")
    if kind == "models":
        return _models()
    if kind == "published":
        return _published()
    if kind == "schedules":
        return dict.fromkeys(sorted(SCHEDULES), "")
    return {name: str(record.get("summary", "")) for name, record in KINDS[kind].declared().items()}


def _published() -> dict[str, str]:
    from netslim.models.published import PREFIX, facts, names

    return {f"{PREFIX}/{name}": facts(name) for name in names()}


def _models() -> dict[str, str]:
    from netslim.models.registry import LIBRARIES

    families = plugins.ARCHITECTURES.declared().items()
    found = {name: f"depth {record['depths']}" if "depths" in record else "" for name, record in families}
    for library in LIBRARIES.names():
        found |= {f"{library}/{name}": "" for name in sorted(LIBRARIES.get(library).names())}
    return found
