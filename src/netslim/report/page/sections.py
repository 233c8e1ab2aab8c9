"""What stands in the page's sections, as values that templates only have to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from netslim.report.page.drawings.curves import Phase, draw_curves
from netslim.report.page.drawings.network import block_drawing
from netslim.report.page.drawings.scales import Spread, draw_scales
from netslim.report.page.measures import Measure, before_cut, masked, on_test, per_epoch, while_training
from netslim.report.page.plan_file import PlanFile, Stage, stages_of
from netslim.report.page.run_folder import Run
from netslim.report.page.story import Story
from netslim.report.tables import percent

WIDE, NARROW = (820.0, 300.0), (340.0, 250.0)  # drawings for a desk and for a phone; a style sheet picks one


@dataclass(frozen=True)
class Compared:
    """A row of the comparison: what, before, after, and what is left of it (0 to 1, or more)."""

    what: str
    before: str
    after: str
    left: float | None

    @property
    def times(self) -> str:
        """How many times less it is."""
        return "" if not self.left else f"{1 / self.left:.2f}×"


def compared(told: Story) -> list[Compared]:
    """Size, MACs, file and latency before and after, as far as they are known."""
    rows = [_counted("Parameters", *told.params), _counted("MACs per image", *told.macs)]
    if told.findings.sizes:
        large, small = told.findings.sizes
        rows.append(Compared("File (bytes)", f"{large:,}", f"{small:,}", small / large if large else None))
    for speed in told.findings.speeds:
        before = f"{1e3 * speed.before:.2f} ms" if speed.before else "—"
        left = speed.after / speed.before if speed.before else None
        what = f"Latency, batch {speed.batch}, {speed.engine}, {speed.threads} threads"
        rows.append(Compared(what.replace("1 threads", "1 thread"), before, f"{1e3 * speed.after:.2f} ms", left))
    return [row for row in rows if row is not None]


def _counted(what: str, before: int | None, after: int | None) -> Compared | None:
    if before is None:
        return None
    if after is None:
        return Compared(what, f"{before:,}", "—", None)
    return Compared(what, f"{before:,}", f"{after:,}", after / before if before else None)


@dataclass(frozen=True)
class DrawnStage:
    """A stage of the network and the drawings of its blocks."""

    stage: Stage
    blocks: tuple[Markup, ...]


def drawn_stages(plan: PlanFile) -> list[DrawnStage]:
    """The network in network order."""
    return [
        DrawnStage(stage, tuple(block_drawing(stage.name, block, stage.widest) for block in stage.blocks))
        for stage in stages_of(plan)
    ]


@dataclass(frozen=True)
class Drawn:
    """A drawing for wide screens and paper, and one for narrow screens."""

    wide: Markup
    narrow: Markup


def accuracy_drawing(told: Story) -> Drawn | None:
    """Accuracy over phases and epochs, or None where no run has any."""
    phases = [_phase(run, told.measure) for run in told.chain]
    if not any(phase.values or phase.marks for phase in phases):
        return None
    title = f"{told.measure.label} over the epochs of {len(phases)} phases: " + "; ".join(map(_said, phases))
    cap = 1.0 if told.measure.is_share else float("inf")
    wide, narrow = (
        draw_curves(phases, width=width, height=height, title=title, shown=told.measure.tick, cap=cap)
        for width, height in (WIDE, NARROW)
    )
    return Drawn(wide, narrow)


def _phase(run: Run, measure: Measure) -> Phase:
    found = {"masked": masked(run.numbers), "test": on_test(run.numbers)}
    marks = [(f"{name} {measure.shown(value)}", value) for name, value in found.items() if value is not None]
    return Phase(
        title=run.title, values=per_epoch(run.rows), training=while_training(run.rows), marks=tuple(marks[-1:])
    )


def _said(phase: Phase) -> str:
    return ", ".join([phase.title, *(word for word, _ in phase.marks)])


@dataclass(frozen=True)
class Scales:
    """The drawing of the scales, and what is to be said of them: whether a penalty was on, and when they parted."""

    drawn: Drawn | None
    sentence: str


PUSHED = "The penalty pushes scales towards zero; a channel can go once its scale is small."
NOT_PUSHED = "No penalty was on: what nothing pushes towards zero says little of which channels can go."


def scales_section(told: Story) -> Scales | None:
    """How the BatchNorm scales went; without a drawing where no run recorded histograms, None if no penalty was on."""
    penalised = any(run.penalised for run in told.chain)
    spreads, parted, start, sentence = [], None, 0, ""
    for number, run in enumerate(told.chain, 1):
        rows = [row for row in run.rows if row.scale_histogram]
        if not rows:
            continue
        spreads.append(
            Spread(title=run.title, number=number, histograms=tuple(tuple(row.scale_histogram or ()) for row in rows))
        )
        at = next((at for at, row in enumerate(rows) if row.scales_parted), None)
        if parted is None and at is not None:
            parted = start + at
            sentence = (
                f"They parted in two in epoch {rows[at].epoch + 1} of phase {number} ({run.title.lower()}): from there "
                f"on a threshold tells small ones from large ones."
            )
        start += len(rows)
    if not spreads:
        return Scales(None, f"{PUSHED} {_near_zero(told.chain)}") if penalised else None
    if penalised:
        sentence = sentence or "They have not parted in two in any epoch: the cut goes through a crowd."
    wide, narrow = (
        draw_scales(spreads, width=width, height=height, parted=parted, title=f"BatchNorm scales. {sentence}".strip())
        for width, height in (WIDE, NARROW)
    )
    return Scales(Drawn(wide, narrow), f"{PUSHED if penalised else NOT_PUSHED} {sentence}".strip())


def _near_zero(chain: Sequence[Run]) -> str:
    last = [(run, run.rows[-1].near_zero_scales) for run in chain if run.rows]
    known = [
        f"{run.title.lower()}: {percent(share, 1)} under 0.01 at its end" for run, share in last if share is not None
    ]
    return "No histograms were recorded" + (f"; {'; '.join(known)}." if known else ".")


@dataclass(frozen=True)
class PhaseRow:
    """A row of the table of phases."""

    number: int
    run: Run
    accuracy: str
    before: str


def phase_rows(told: Story) -> list[PhaseRow]:
    """The phases with their numbers."""
    rows = []
    for number, run in enumerate(told.chain, 1):
        found, before = on_test(run.numbers), before_cut(run.numbers)
        shown = "—" if found is None else told.measure.shown(found, 2)
        rows.append(PhaseRow(number, run, shown, "" if before is None else told.measure.shown(before, 2)))
    return rows
