"""Slurm's commands as far as submitit uses them, each job a process of this machine.

As `sbatch FILE` it starts a file's command with the environment of a job, as `srun` it runs a command into its log
files, as `sacct -j NUMBERS` and `squeue` it says how jobs stand, and as `scancel NUMBER` it ends one. With a file
`no_accounts` in its folder it is a Slurm that keeps none, whose queue forgets what has ended.
"""

import itertools
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("FAKE_SLURM", ""))


def fake_slurm(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Puts the commands into a folder, where they are found from now on; skips the test without submitit."""
    from installed import needs  # not where this file is a command

    needs("submitit")
    (folder / "bin").mkdir(parents=True)
    for name in ("sbatch", "srun", "sacct", "squeue", "scancel"):
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        command.chmod(0o755)
    patch.setenv("FAKE_SLURM", str(folder))
    patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")


def sbatch(script: str) -> None:
    text = Path(script).read_text()
    if "--partition=closed" in text:
        sys.exit("sbatch: error: invalid partition specified: closed")
    number = str(len([*FOLDER.glob("*.sh")]) + 1)
    (FOLDER / f"{number}.sh").write_text(f"{text}\necho done > {FOLDER / number}.state\n")
    place = {"SLURM_JOB_ID": number, "SLURM_NTASKS": "1", "SLURM_NNODES": "1", "SLURM_NODEID": "0"}
    place |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "node1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    job = subprocess.Popen(
        ["bash", FOLDER / f"{number}.sh"], env={**os.environ, **place}, start_new_session=True, **quiet
    )
    (FOLDER / f"{number}.pid").write_text(str(job.pid))
    sys.stdout.write(f"Submitted batch job {number}\n")


def srun(*words: str) -> None:
    outputs = {name: place for name, place in itertools.pairwise(words) if name in ("--output", "--error")}
    command = words[max(words.index(word) for word in outputs) + 2 :]
    places = [re.sub("%t", "0", re.sub("%j", os.environ["SLURM_JOB_ID"], own)) for own in outputs.values()]
    with Path(places[0]).open("ab") as out, Path(places[1]).open("ab") as err:
        sys.exit(subprocess.call(command, stdout=out, stderr=err))


def sacct(*words: str) -> None:
    if (FOLDER / "no_accounts").exists():
        sys.exit("Slurm accounting storage is disabled")
    sys.stdout.write("JobID|State|NodeList\n")
    for number in words[words.index("-j") + 1].split(","):
        sys.stdout.write(f"{number}|{_state(number)}|node1\n")


def squeue(*_: str) -> None:
    for script in FOLDER.glob("*.sh"):
        if _state(script.stem) == "RUNNING":
            sys.stdout.write(f"{script.stem}|RUNNING|node1\n")


def scancel(number: str) -> None:
    os.killpg(int((FOLDER / f"{number}.pid").read_text()), signal.SIGKILL)


def _state(number: str) -> str:
    if (FOLDER / f"{number}.state").exists():
        return "COMPLETED"
    alive = Path("/proc", (FOLDER / f"{number}.pid").read_text()).exists()
    return "RUNNING" if alive else "CANCELLED"


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
