"""The networks that come with netslim: each loads, is small, and is as good as its card says."""

import os
import re
from pathlib import Path

import pytest
import torch

import netslim
from netslim.core.errors import UsageError
from netslim.core.safetensors_folder import CONFIG, WEIGHTS, check_hashes, read_facts
from netslim.data.dataset import at_hand
from netslim.models import published
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.evaluate.run import run as evaluate

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("NETSLIM_DATA_DIR", "data"))


def card(name: str) -> str:
    return (published.folder_of(Path("published") / name) / "README.md").read_text()


def figure(name: str, row: str) -> str:
    (found,) = re.findall(rf"^\| {row} \| ([\d.,]+)", card(name), re.MULTILINE)
    return str(found).replace(",", "")


@pytest.mark.parametrize("name", published.names())
def test_it_loads_is_small_and_whole_and_has_a_recipe(name: str) -> None:
    folder = published.folder_of(Path("published") / name)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    check_hashes(folder, read_facts(folder / CONFIG))
    recipes = (ROOT / "recipes" / "published").glob("*.toml")
    assert any(re.search(rf"publish\.py \S+ {name}\b(?!-)", recipe.read_text()) for recipe in recipes)
    model = netslim.load(f"published/{name}")
    assert model.plan is not None
    assert str(sum(parameter.numel() for parameter in model.parameters())) == figure(name, "parameters")
    assert not model.training


@pytest.mark.timeout(900)  # 10,000 images through 164 layers
@pytest.mark.parametrize("name", published.names())
def test_it_is_as_good_as_its_card_says(name: str, tmp_path: Path) -> None:
    folder = published.folder_of(Path("published") / name)
    data = read_facts(folder / CONFIG)["dataset"]["name"]
    if not at_hand(data, DATA):
        pytest.skip(f"{data} is not in {DATA}: NETSLIM_DATA_DIR names another folder")
    own = re.findall(r"^- (.+)$", card(name), re.MULTILINE)[0]
    if own != data and "NETSLIM_UNVERIFIED_DATA" not in os.environ:
        pytest.skip(f"its images are {own}, and those in {DATA} are {data}'s own")
    netslim.save(tmp_path / "net.pth.tar", netslim.load(f"published/{name}"))
    found = evaluate(EvaluateConfig(model=tmp_path / "net.pth.tar", dataset=data, data_dir=DATA, device="cpu"))
    assert 100 * found["top1"] == pytest.approx(float(figure(name, "top-1")), abs=0.15)
    assert f"{found['images']:,} test images" in card(name)


def test_names_that_are_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^unknown published network 'no-such'"):
        netslim.load("published/no-such")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "published").mkdir()
    netslim.save("published/mine", netslim.create_model("resnet", depth=11, num_classes=2))
    assert isinstance(netslim.load("published/mine"), torch.nn.Module)  # a file that is there is meant


def test_what_a_folder_holds() -> None:
    for name in published.names():
        folder = published.folder_of(Path("published") / name)
        assert {file.name for file in folder.iterdir()} == {WEIGHTS, CONFIG, "README.md"}
