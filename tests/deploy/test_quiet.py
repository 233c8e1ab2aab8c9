"""Other packages, kept quiet."""

import logging
import warnings

import pytest

from netslim.deploy.quiet import quiet


def test_nothing_is_said_inside_and_all_again_afterwards(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    def speak(error: Exception | None = None) -> None:
        logging.getLogger("another").error("log")
        warnings.warn("warning", UserWarning, stacklevel=1)
        if error:
            raise error

    with pytest.raises(ValueError, match="why"), quiet():
        speak(ValueError("why"))
    assert (caplog.records, list(recwarn)) == ([], [])
    speak()
    assert [len(caplog.records), len(recwarn)] == [1, 1]
