"""What torchrun's variables say of this process."""

import pytest

from netslim.core import launch
from netslim.core.errors import UsageError


class Sum:
    """Counts as torch's store does."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, key: str, amount: int, /) -> int:
        """The sum after."""
        self.count += amount
        return self.count


class Gone:
    """A store whose keeper has ended."""

    def add(self, key: str, amount: int, /) -> int:
        """Nobody answers."""
        raise RuntimeError("connection refused")


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the second of two."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launch, "_shared", [])


def test_one_process_is_the_first_and_has_number_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("LOCAL_RANK", "3")  # left by something else
    assert not launch.launched()
    assert launch.is_first()
    assert launch.may_speak()
    assert launch.local_rank() == 0


@pytest.mark.usefixtures("second_of_two")
def test_the_second_of_two() -> None:
    assert launch.launched()
    assert not launch.is_first()
    assert not launch.may_speak()
    assert launch.local_rank() == 1


@pytest.mark.usefixtures("second_of_two")
def test_before_they_join_another_waits_for_the_first_one_to_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is still there after that was not ended by the launcher: the first one had nothing to say."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not launch.may_speak(patience=10)  # other launchers end nobody: it would be said twice
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert launch.may_speak(patience=10)
    assert waited == [10]
    launch.share(Sum())
    assert launch.may_speak(patience=10)
    assert waited == [10]


@pytest.mark.usefixtures("second_of_two")
def test_of_those_that_end_the_first_one_that_asks_speaks() -> None:
    launch.share(Sum())
    assert [launch.may_speak() for _ in range(3)] == [True, False, False]


@pytest.mark.usefixtures("second_of_two")
def test_without_a_store_the_first_process_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    launch.share(Gone())
    assert not launch.may_speak()
    monkeypatch.setenv("RANK", "0")
    assert launch.may_speak()


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "LOCAL_RANK"])
def test_what_no_launcher_says_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match=rf"^the environment has {name}=x, which is no number: type unset {name}, or"):
        launch.check_launch()
    assert (launch.local_rank(), launch.is_first()) == (0, True)
