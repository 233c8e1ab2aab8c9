from pathlib import Path

import pytest

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.models import create_model
from netslim.stages.shared.config import DataConfig
from netslim.stages.shared.datasets import (
    check_fits,
    data_directory,
    dataset_facts,
    dataset_name,
    open_dataset,
    required_dataset,
    shown_normalization,
)


def file_of(**given: object) -> Checkpoint:
    return Checkpoint(state_dict={}, **given)  # type: ignore[arg-type]


def test_the_data_set_that_was_given_or_that_the_file_names() -> None:
    ours, originals = file_of(dataset={"name": "digits"}), file_of(extra={"dataset": "cifar10"})
    assert (dataset_name(ours), dataset_name(originals), dataset_name(file_of())) == ("digits", "cifar10", None)
    assert required_dataset(None, ours, Path("a")) == "digits"
    assert required_dataset("folder", ours, Path("a")) == "folder"
    with pytest.raises(UsageError) as caught:
        required_dataset(None, file_of(), Path("a.pth.tar"))
    assert str(caught.value) == "a.pth.tar names no data set; type `dataset=NAME`"


def test_the_folder_is_the_settings_the_environments_or_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETSLIM_DATA_DIR", raising=False)
    assert data_directory(None) == Path("data")
    monkeypatch.setenv("NETSLIM_DATA_DIR", "there")
    assert data_directory(None) == Path("there")
    assert data_directory(Path("here")) == Path("here")


def test_images_are_normalised_and_enlarged_as_the_network_learnt_them() -> None:
    config = DataConfig(image_size=20)
    facts = {**dataset_facts(open_dataset("digits", config), config), "mean": [0.25], "std": [0.5]}
    assert (facts["image_size"], facts["resized"]) == ([20, 20], True)
    again = open_dataset("digits", DataConfig(), facts)
    assert (again.image_size, again.mean, again.std) == ((20, 20), (0.25,), (0.5,))
    other = open_dataset("digits", DataConfig(), {**facts, "name": "folder", "resized": False})
    assert (other.image_size, other.mean == (0.25,)) == ((16, 16), False)


def test_a_normalisation_is_shown_as_far_as_it_is_known() -> None:
    assert shown_normalization({"mean": [0.4914, 0.5], "std": [0.25, 1 / 3]}) == "mean 0.491, 0.5, std 0.25, 0.333"
    assert shown_normalization({"name": "digits"}) == shown_normalization(None) == shown_normalization([1]) == ""


def test_a_network_for_other_images() -> None:
    digits = open_dataset("digits", DataConfig())
    check_fits(create_model("resnet", depth=11, num_classes=10, in_channels=1), digits, "a.pth.tar")
    with pytest.raises(CheckpointError) as caught:
        check_fits(create_model("resnet", depth=11, num_classes=10, in_channels=3), digits, "a.pth.tar")
    assert str(caught.value) == "a.pth.tar holds a resnet with in_channels 3; the data set digits has 1"
