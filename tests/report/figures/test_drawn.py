from netslim.report.figures.drawn import TOP1, Drawn


def test_shares_are_drawn_in_percent_and_numbers_as_they_are() -> None:
    error = Drawn(key="metric", label="MAE", is_share=False)
    row = {"top1": 0.5, "metric": 0.25, "metric_recalibrated": 0.125}
    assert (TOP1.height(row), TOP1.axis) == (50.0, "top-1 (%)")
    assert (error.height(row), error.height(row, error.recalibrated), error.axis) == (0.25, 0.125, "MAE")
