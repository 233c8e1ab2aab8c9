"""The pages of a whole run, which are made again only where what they are made of changed."""

import hashlib
import json
from pathlib import Path

from netslim.core.files import file_hash
from netslim.core.runs.environment import commit, versions
from netslim.core.runs.file_names import PAGE
from netslim.report.console import say
from netslim.stages.report.run import make_page
from netslim.stages.slim import summary
from netslim.stages.slim.step_folder import RECORD
from netslim.stages.slim.variants import Variant


def make_pages(save: Path, variants: list[Variant], before: str) -> str:
    """A page per variant, and one of all of them.

    Args:
        save: the folder of the run.
        variants: with all steps done.
        before: what this returned when the pages that are there were made; empty if none were.

    Returns:
        A hash of what the pages are made of; empty where one could not be made.
    """
    settings = {variant.folder: summary.task_of_steps(variant.steps) for variant in variants}
    folders = [*settings, *([save] if len(variants) > 1 else [])]
    made_of = _made_of(save, variants)
    if made_of == before and all((folder / PAGE).is_file() for folder in folders):
        say(f"{folders[-1] / PAGE} is of these steps already, and stays as it is")
        return before
    made = [make_page(folder, timed=True, **given) for folder, given in settings.items()]
    if len(variants) > 1:
        made.append(make_page(save, **settings[variants[0].folder]))
    return made_of if all(made) else ""


def _made_of(save: Path, variants: list[Variant]) -> str:
    """The steps as they were done, where they lie, and what makes pages of them."""
    steps = {str(each.folder): file_hash(each.folder / RECORD) for variant in variants for each in variant.steps}
    return hashlib.sha256(json.dumps([str(save), steps, versions(), commit()]).encode()).hexdigest()
