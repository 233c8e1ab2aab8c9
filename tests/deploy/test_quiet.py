"""Other packages, kept quiet."""

import logging
import sys
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


def test_openvino_finds_nobody_to_tell_of_its_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    with quiet(), pytest.raises(ImportError, match="openvino_telemetry"):
        __import__("openvino_telemetry")
    assert "openvino_telemetry" not in sys.modules
