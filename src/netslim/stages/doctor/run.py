"""`netslim doctor`: what this machine has, what is missing, and the command that gets it."""

from importlib.metadata import metadata
from typing import Any

from netslim.core.errors import setting
from netslim.report.console import say, spelled
from netslim.report.tables import print_table
from netslim.stages.doctor.config import DoctorConfig

BUSY = 0.5  # cores at work before anything begins, from which times that are measured are no longer the network's
Line = tuple[str, str, str]


def run(config: DoctorConfig) -> dict[str, Any]:
    """Prints a line per part of the installation, with what to type for what is missing. Returns the same as data."""
    say("loading torch, torchvision and timm, to see whether they go together: a few seconds")
    from netslim.stages.doctor.findings import look  # not before: it is what takes them

    found = look(config.data_dir)
    lines = [*_machine(found), *_packages(found), *_data(found)]
    print_table(["part", "found", "what to do"], [(part, there, spelled(advice)) for part, there, advice in lines])
    broken = ", ".join(found["broken"])
    say(f"broken: {broken}" if broken else "everything that the five steps need is there")
    return found


def _machine(found: dict[str, Any]) -> list[Line]:
    machine = found["hardware"]
    return [
        ("processor", f"{machine['cpu']}, {machine['instructions']}", ""),
        ("threads", f"{machine['threads']} of {machine['cores']} cores", _threads_advice(found)),
        *_load(found["load"], machine["cores"]),
        ("gpu", machine["gpu"], _gpu_advice(machine)),
        ("C++ compiler", found["compiler"] or "missing", "" if found["compiler"] else "needed by torch.compile alone"),
    ]


def _threads_advice(found: dict[str, Any]) -> str:
    given, machine = found["omp_num_threads"], found["hardware"]
    if machine["threads"] == machine["cores"]:
        return "on a shared machine fewer are often faster: type OMP_NUM_THREADS=1 before the command"
    return f"OMP_NUM_THREADS={given}; another number, or unset it: all cores" if given else "OMP_NUM_THREADS=N: another"


def _load(load: float | None, cores: int) -> list[Line]:
    if load is None:
        return []
    advice = "others work here: times that are measured now are too long, and vary" if load > BUSY else ""
    return [("load", f"{load:.1f} of {cores} cores in the last minute", advice)]


def _gpu_advice(machine: dict[str, Any]) -> str:
    if machine["gpu"] != "none":
        return ""
    if machine["built_for"].startswith("CUDA"):
        return "torch is built for CUDA and sees no GPU: everything runs on the processor"
    return "torch is built without CUDA: everything runs on the processor"


def _packages(found: dict[str, Any]) -> list[Line]:
    needs = metadata("netslim")["Requires-Python"]
    notes = {"python": f"netslim needs {needs}"} | {
        name: f"can't be loaded ({why}): install it anew beside this torch" for name, why in found["broken"].items()
    }
    lines = [(name, number, notes.get(name, "")) for name, number in found["versions"].items()]
    return lines + [_extra_line(extra, packages) for extra, packages in found["extras"].items() if extra != "dev"]


def _extra_line(extra: str, packages: dict[str, str | None]) -> Line:
    have = ", ".join(f"{name} {number}" for name, number in packages.items() if number)
    missing = [name for name, number in packages.items() if not number]
    advice = f"missing: {', '.join(missing)}; type pip install 'netslim[{extra}]'" if missing else ""
    return f"[{extra}]", have or "-", advice


def _data(found: dict[str, Any]) -> list[Line]:
    free = f"{found['free'] / 2**30:.1f} GiB free"
    lines = [("data folder", found["data_dir"], f"{free}; NETSLIM_DATA_DIR or {setting('data_dir', 'DIR')}: another")]
    for name, there in found["datasets"].items():
        advice = _own_images() if name in found["own_images"] else _download(name)
        lines.append((name, "there" if there else "missing", "" if there else advice))
    return lines


def _own_images() -> str:
    return "your own images: train/CLASS/*.png and test/CLASS/*.png in the data folder"


def _download(name: str) -> str:
    return f"the first command with {setting('dataset', name)} downloads it there"
