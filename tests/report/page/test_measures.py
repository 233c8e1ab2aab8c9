"""How numbers of accuracy are written."""

from netslim.report.page.measures import Measure

SHARE, OTHER = (
    Measure(label="top-1", is_share=True, in_percent=True),
    Measure(label="psnr", is_share=False, in_percent=False),
)


def test_shares_are_percentages_and_other_metrics_stay_as_they_are() -> None:
    assert (SHARE.shown(0.9125), SHARE.shown(0.9125, 2), SHARE.tick(0.25)) == ("91.2 %", "91.25 %", "25 %")
    assert (OTHER.shown(12.34567), OTHER.tick(0.25)) == ("12.35", "0.25")


def test_changes_have_their_sign() -> None:
    assert (SHARE.change(0.9, 0.85), SHARE.change(0.85, 0.9)) == ("−5.0 points", "+5.0 points")
    assert (OTHER.change(2.0, 0.5), OTHER.change(0.5, 2.0)) == ("−1.5", "+1.5")
