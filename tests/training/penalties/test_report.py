"""What is said of scales: closed forms of Otsu's measure, and when it is time to prune."""

import math

import pytest
import torch
from torch import nn

import netslim
from netslim.training.penalties.report import parted, report_on
from penalties.penalised import scaled


def test_two_points_are_wholly_separated() -> None:
    """Halfway on a logarithmic scale: sqrt(0.001 x 1)."""
    separation, threshold = parted(torch.tensor([1e-3, 1.0, 1.0, 1e-3, 1.0]).double())
    assert separation == pytest.approx(1.0)
    assert threshold == pytest.approx(math.sqrt(1e-3))


def test_closed_forms_of_distributions() -> None:
    """Evenly spread: 3/4. Normal: 2 / pi. (Both on the logarithmic scale.)"""
    even = 10 ** torch.linspace(-3, 0, 20001, dtype=torch.double)
    assert parted(even)[0] == pytest.approx(0.75, abs=1e-4)
    quantiles = torch.special.ndtri((torch.arange(20000, dtype=torch.double) + 0.5) / 20000)
    assert parted(10 ** (0.3 * quantiles - 1.5))[0] == pytest.approx(2 / math.pi, abs=1e-3)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 1e-6]])
def test_where_there_is_nothing_to_part(values: list[float]) -> None:
    assert parted(torch.tensor(values, dtype=torch.double)) == (0.0, 0.0)


def test_a_report_in_closed_form_and_what_changed_since_the_last() -> None:
    first, second = torch.tensor([0.0, 0.001, 0.5, 0.5]), torch.tensor([0.5, -0.5, 0.002, 0.5])
    model = nn.Sequential(scaled(nn.BatchNorm1d(4), first), scaled(nn.BatchNorm1d(4), second))
    penalty = netslim.penalty(model, strength=1.0)
    report = penalty.report()
    assert (report.scales, report.near_zero, report.zeros, report.below) == (8, 3 / 8, 1 / 8, 3 / 8)
    assert report.gap == pytest.approx(0.5 / 0.001)
    assert report.threshold == pytest.approx(math.sqrt(0.002 * 0.5))
    assert report.layers[1].smallest == pytest.approx(0.002)
    assert (report.layers[0].name, report.layers[0].near_zero, report.layers[0].largest) == ("0", 0.5, 0.5)
    assert report.moved is None
    assert report.ready
    assert str(report).splitlines() == [
        "8 scales: 37.5% under 0.01, 12.5% exactly zero",
        f"separation {report.separation:.2f}, gap 500x at |gamma| 0.0316: 37.5% are below",
        "most near zero: 0 (50% of 4, 0 to 0.5); least: 1 (25% of 4, 0.002 to 0.5)",
        "time to prune: percent=0.37",
    ]
    model[0].weight.data[:2] = 0.5
    again = penalty.report()
    assert again.moved == pytest.approx(2 / 8)
    assert str(again).splitlines()[-2:] == [
        "changed sides since the last report: 25.0%",
        "too early to prune: more than 10% of the scales changed sides since the last report",
    ]
    assert penalty.report().ready


@pytest.mark.parametrize(
    ("values", "hindrance"),
    [
        ([1.0, 1.0, 1.0], "the scales do not part in two (separation under 0.75)"),
        ([0.2, 0.2, 1.0, 1.0], "the small scales are not small enough (gap under 10)"),
        ([0.001, 0.001, 1.0], ""),
    ],
)
def test_when_it_is_time(values: list[float], hindrance: str) -> None:
    report = netslim.penalty(scaled(nn.BatchNorm1d(len(values)), torch.tensor(values)), strength=1.0).report()
    assert report.hindrance == hindrance
    assert report.ready == (not hindrance)


def test_a_network_without_scales() -> None:
    report, _ = report_on({})
    assert str(report).splitlines() == [
        "0 scales: 0.0% under 0.01, 0.0% exactly zero",
        "too early to prune: there are no scales",
    ]
