"""What `netslim info` shows: names and values in a table."""

from collections.abc import Mapping
from typing import Any

from netslim.report.tables import print_table
from netslim.stages.shared.datasets import said_of_images


def of_images(said: Any) -> dict[str, Any]:
    """What a file says of its images: how they are normalised, and how many classes it has names for."""
    facts = said_of_images(said)
    known = {"mean": facts.mean, "std": facts.std, "class names": len(facts.class_names or ())}
    return {name: value for name, value in known.items() if value}


def print_facts(facts: Mapping[str, Any]) -> None:
    """Prints a table of them."""
    print_table(["what", "value"], [(name, _shown(value)) for name, value in facts.items()])


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(f"{number:.4g}" for number in value)
    return f"{value:,}" if isinstance(value, int) else value
