"""The public names: cheap to import, always the same objects, and enough for the whole way."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import netslim
from netslim.stages.transfer.config import DEFAULT_STRATEGY

NAMES = [
    "Engine",
    "NetslimError",
    "NetslimWarning",
    "PrunePlan",
    "UserData",
    "absorb_",
    "apply",
    "carry",
    "carry_",
    "create_model",
    "evaluate",
    "export",
    "for_inference",
    "iterative",
    "load",
    "load_source",
    "measure",
    "penalty",
    "plan",
    "recalibrate_",
    "reconstruct_",
    "repair_",
    "save",
    "transfer",
    "verify",
]


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def test_importing_netslim_imports_nothing_heavy() -> None:
    heavy = ("torch", "torchvision", "timm", "numpy", "pydantic", "typer", "rich", "matplotlib", "sklearn")
    script = f"import sys, netslim; dir(netslim); print([name for name in {heavy} if name in sys.modules])"
    assert run(script) == "[]"


def test_the_names() -> None:
    assert sorted(netslim.__all__) == NAMES
    assert set(NAMES) <= set(dir(netslim))
    for name in NAMES:
        assert callable(getattr(netslim, name)), name
        assert getattr(netslim, name).__doc__, name


@pytest.mark.slow
def test_a_submodule_never_hides_a_name() -> None:
    """`netslim.pruning` has a module and a function `plan`: the function is found whatever was imported before."""
    script = """
import importlib, pkgutil, sys, types
import netslim
modules = [module.name for module in pkgutil.walk_packages(netslim.__path__, "netslim.")]
modules = [name for name in modules if not name.endswith("__main__")]  # it runs
namesakes = [name for name in modules if name.rpartition(".")[2] in netslim.__all__]
for order in (modules, modules[::-1], *([name] for name in namesakes)):
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "netslim"]:
        del sys.modules[loaded]
    for name in order:
        importlib.import_module(name)
    import netslim
    for name in netslim.__all__:
        found = getattr(netslim, name)
        assert callable(found) and not isinstance(found, types.ModuleType), (order[0], name, found)
print(*namesakes)
"""
    assert {"netslim.pruning.plan", "netslim.pruning.verify"} <= set(run(script).split())


def test_the_names_hide_no_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(netslim.__path__)}
    assert not modules & set(netslim.__all__)
    for module in modules - {"__main__"}:
        assert importlib.import_module(f"netslim.{module}") is getattr(netslim, module)


def test_star_import() -> None:
    space: dict[str, object] = {}
    exec("from netslim import *", space)  # noqa: S102  (the statement under test)
    assert set(NAMES) <= set(space)


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match=r"^module 'netslim' has no attribute 'prune'$"):
        netslim.prune  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'prune' from 'netslim'"):
        from netslim import prune  # noqa: F401
    assert not hasattr(netslim, "_missing")


def test_three_lines_prune_a_network(tmp_path: Path) -> None:
    model = netslim.create_model("resnet", depth=20, num_classes=10, in_channels=3)
    images = torch.randn(2, 3, 16, 16)

    small = netslim.apply(model, netslim.plan(model, images, percent=0.4))
    assert netslim.verify(model, small, images).holds
    netslim.save(tmp_path / "small.pth.tar", small)

    again = netslim.load(tmp_path / "small.pth.tar")
    assert isinstance(again.plan, netslim.PrunePlan)
    assert netslim.measure(again, images) == again.plan.after
    assert netslim.measure(model, images) == again.plan.before
    assert netslim.evaluate(again, [(images, torch.zeros(2, dtype=torch.int64))]).top1 in (0, 0.5, 1)


@pytest.mark.parametrize(("arch", "strategy"), [("resnet", DEFAULT_STRATEGY), ("torchvision/resnet18", "exact")])
def test_transfer_has_the_commands_default(arch: str, strategy: str) -> None:
    source = netslim.load_source("torchvision", "resnet18", pretrained=False)
    arguments = {"depth": 11} if arch == "resnet" else {}
    assert netslim.transfer(source, netslim.create_model(arch, **arguments))[1].strategy == strategy
