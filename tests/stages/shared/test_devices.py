import pytest
import torch

from netslim.core.errors import UsageError
from netslim.stages.shared.devices import pick_device


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("count", "name", "picked"), [(0, "auto", "cpu"), (2, "auto", "cuda"), (2, "cuda:1", "cuda:1")]
)
def test_a_device_by_name(monkeypatch: pytest.MonkeyPatch, count: int, name: str, picked: str) -> None:
    gpus(monkeypatch, count)
    assert pick_device(name) == torch.device(picked)


@pytest.mark.parametrize("name", ["tpu", "meta", "cuda:x"])
def test_names_of_no_device(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        pick_device(name)
    assert str(caught.value) == f"`device='{name}'`: type auto, cpu, cuda or cuda:N"


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 1)
    with pytest.raises(UsageError) as caught:
        pick_device("cuda:1")
    assert str(caught.value) == "`device='cuda:1'`: torch sees 1 CUDA devices; type `device='cpu'`"


def test_each_of_several_processes_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto") == torch.device("cuda", 1)
    with pytest.raises(
        UsageError, match=r"^`device='cuda:0'`: each process takes its own GPU; type `device='cuda'`, or "
    ):
        pick_device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(
        UsageError, match=r"^3 processes or more on a machine where torch sees 2 CUDA devices; type torch"
    ):
        pick_device("cuda")
