from pathlib import Path

import pytest

from netslim.core.errors import DataError
from netslim.data import host_memory as memory_module
from netslim.data import load_dataset


def test_too_much_for_the_memory_is_refused_before_it_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "available_memory", lambda: 2_000_000_000)
    with pytest.raises(
        DataError,
        match=r"^1437 images of 2000x2000 pixels need 5.7 GB of memory and 2.0 GB are free: type a smaller `image_s",
    ):
        load_dataset("digits", tmp_path, image_size=2000)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs Linux's memory figures")
def test_the_free_memory_is_known_on_linux() -> None:
    free = memory_module.available_memory()
    assert free is not None
    assert 0 < free < 2**50
