"""One process alone, and a group of one: what several do is held by tests/stages/test_several_processes.py."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from netslim.core.processes.distributed import World
from netslim.training.processes.ddp import Replica


@pytest.fixture
def group(tmp_path: Path) -> Iterator[dist.ProcessGroup]:
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


def test_alone_it_is_the_network_itself(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    model = make_tiny().eval()
    replica = Replica(model, sync_bn=True)
    with replica.part(last=False):
        assert torch.equal(replica(batch[0]), model(batch[0]))
    assert replica.model is model


def test_gradients_are_averaged_with_the_last_part_and_names_stay(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], group: dist.ProcessGroup
) -> None:
    model, plain = make_tiny().eval(), make_tiny().eval()
    names, averaged = [*model.state_dict()], 0

    def count(_: object, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
        nonlocal averaged
        averaged += 1
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    replica = Replica(model, World(0, 2, group))
    assert replica._parallel is not None
    replica._parallel.register_comm_hook(None, count)  # type: ignore[arg-type]
    for number, last in enumerate((False, True)):
        with replica.part(last=last):
            replica(batch[0]).sum().backward()
        assert averaged == number
    for _ in range(2):
        plain(batch[0]).sum().backward()
    assert [*model.state_dict()] == names
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
