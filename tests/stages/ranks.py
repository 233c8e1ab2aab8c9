"""Several processes of one run: by hand, forked from a server that has imported torch, or by `torchrun`."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

from started_process import Started, command_line, usual_signals
from torch.distributed import TCPStore

_stores: list[TCPStore] = []  # a process may ask after the others have ended


def start_ranks(arguments: list[object], log: Path, size: int = 2, started: int | None = None) -> list[Started]:
    """`netslim ARGUMENTS` in processes with the variables that torchrun sets; only the first `started` of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["netslim.stages.demo.run", "torch._dynamo", "torchvision"])
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # kept by torchrun's own process, too
    _stores.append(store)
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    shared["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    ranks: list[Started] = []
    for rank in range(size if started is None else started):
        variables = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        own = log.with_name(f"{log.name}-{rank}")
        process = context.Process(target=as_rank, args=(variables, [str(a) for a in arguments], own))
        process.start()
        ranks.append(Started(process, own))
    return ranks


def as_rank(variables: dict[str, str], arguments: list[str], log: Path) -> None:
    """Runs in the new process."""
    os.environ.update(variables)
    command_line(arguments, log, log.parent, None)


def torchrun(arguments: list[object], log: Path, *options: str) -> Started:
    """`torchrun --standalone OPTIONS -m -- netslim ARGUMENTS`; itself it is forked, its processes are started anew."""
    context = multiprocessing.get_context("forkserver")
    given = ["--standalone", *options, "-m", "--", "netslim", *(str(argument) for argument in arguments)]
    process: Any = context.Process(target=as_torchrun, args=(given, log))
    process.start()
    return Started(process, log)


def as_torchrun(arguments: list[str], log: Path) -> None:
    """Runs in the new process."""
    usual_signals()
    for stream, suffix in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(log.with_suffix(suffix), os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
    from torch.distributed.run import main

    main(arguments)
