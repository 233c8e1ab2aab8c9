"""What was found out beside the run folders stands on the page, and nothing does where nothing was."""

from pathlib import Path

from page_runs import page, seen

from netslim.report.page.findings import Findings


def test_images_and_speed_stand_where_they_are_known(chain: list[Path]) -> None:
    text = page(chain[-1], findings=seen("a", "b")).text
    assert "2.00× as fast at batch 1, with 20 % of the MACs" in text
    assert (
        "the small network gets 90 right, the network before pruning 91. 3 are right before only, 2 after only." in text
    )
    assert "Latency, batch 1, eager, 1 thread 50 % 4.00 ms 2.00 ms 2.00×" in text
    assert "a now b (75 %) before a (50 %)" in text


def test_of_many_classes_the_largest_confusions_are_listed(chain: list[Path]) -> None:
    text = page(chain[-1], findings=seen(*(f"class {number}" for number in range(30)))).text
    assert "Most frequent mistakes of the small network" in text
    assert "A row: images of a class." not in text


def test_why_there_are_no_images_is_said_in_the_words_of_who_left_them_out(chain: list[Path]) -> None:
    assert "Left out, as asked for." in page(chain[-1], findings=Findings(no_images="Left out, as asked for.")).text
    assert "Left out" not in page(chain[-1]).text
