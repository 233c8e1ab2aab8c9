"""The page as text: templates and what stands in them. Everything that comes from files is escaped."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from netslim.report.console import spelled
from netslim.report.page.again import again, begins_with
from netslim.report.page.findings import Findings
from netslim.report.page.plan_file import reasons_of
from netslim.report.page.run_folder import Run
from netslim.report.page.sections import accuracy_drawing, compared, drawn_stages, phase_rows, scales_section
from netslim.report.page.story import TRIALS, Story
from netslim.report.page.trials import trial_page
from netslim.report.page.trust import checks_of, verdict
from netslim.report.page.whole import Whole

GENERATOR = '<meta name="generator" content="netslim">'  # in every page, so that no other file is taken for one
MOST_CLASSES = 20  # of a confusion matrix that can be read; of more the largest confusions are listed
CONFUSIONS = 15


def page_text(runs: Sequence[Run], findings: Findings | None = None, whole: Whole | None = None) -> str:
    """The whole page of these runs, in the order of the work.

    Args:
        runs: one or more; see `runs_in`.
        findings: what was found out by running the networks.
        whole: the `netslim slim` whose steps they are.
    """
    told = Story(tuple(runs), findings or Findings(), whole)
    checks = checks_of(told)
    template = _environment().get_template("page.html.j2")
    return template.render(
        told=told,
        findings=told.findings,
        checks=checks,
        verdict=verdict(checks),
        rows=compared(told),
        plan=told.plan,
        stages=drawn_stages(told.plan) if told.plan else [],
        reasons=reasons_of(told.plan) if told.plan else [],
        curves=accuracy_drawing(told),
        scales=scales_section(told),
        phases=phase_rows(told),
        trials=[trial_page(run) for run in told.every if run.record.stage in TRIALS],
        commands=again(told),
        begins_with=begins_with(told),
        confused=confusions(told.findings),
        matrix=told.findings.images and len(told.findings.images.class_names) <= MOST_CLASSES,
    )


def confusions(findings: Findings) -> list[tuple[str, str, int]]:
    """The most frequent mistakes of the small network: right class, what it says, how often."""
    if findings.images is None:
        return []
    names = findings.images.class_names
    pairs = [
        (names[true], names[said], count)
        for true, row in enumerate(findings.images.confusion)
        for said, count in enumerate(row)
        if true != said and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:CONFUSIONS]


@functools.cache  # every run ends in a page, and to compile the templates takes longer than all the rest of it
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("netslim.report.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"data_uri": _data_uri, "count": _count, "share": _share, "span": _span, "spelled": spelled}
    environment.filters["command"] = _command
    return environment


def _command(text: str) -> Markup:
    """A command whose lines break before flags, and inside of one only where it fills a line by itself."""
    word = Markup('<span class="word">{}</span>')
    return Markup(" ").join(word.format(part) for part in re.split(r" (?=-)", text))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _count(number: int | None) -> str:
    """1234567 -> `1.23 M`; what is not known is a dash."""
    if number is None:
        return "—"
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return str(number)


def _share(value: float) -> str:
    return f"{100 * value:.0f} %"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    return (
        f"{seconds:.1f} s"
        if seconds < 100
        else f"{seconds / 60:.1f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def as_dict(findings: Findings) -> dict[str, Any]:
    """What was found out, in numbers, for `--json`."""
    images = findings.images
    if images is None:
        return {"images": None, "no_images": findings.no_images}
    names = ("dataset", "count", "small_right", "large_right", "only_large", "only_small")
    return {"images": {name: getattr(images, name) for name in names}}
