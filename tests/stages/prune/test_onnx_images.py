"""Images for a network from an ONNX file."""

import numpy as np
import pytest
import torch
from onnx_files import images
from PIL import Image

from netslim.core.errors import ArgumentError, DataError
from netslim.models.onnx_import.source import Port
from netslim.stages.prune.onnx_images import Reader, files_in


def port(*shape):
    return Port(name="x", shape=shape, dtype=torch.float32, free=(True,) + (False,) * (len(shape) - 1))


def test_images_without_classes(tmp_path):
    found = files_in(images(tmp_path / "all", 5), seed=1)
    assert len(found.fitting) == 5
    assert found.judged == ()
    assert found == files_in(tmp_path / "all", seed=1)


def test_parts_for_training_and_testing(tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for name in ("a", "b"):
            images(tmp_path / part / name, count)
    found = files_in(tmp_path, seed=1)
    assert (len(found.fitting), len(found.judged), found.classes) == (6, 4, ("a", "b"))
    assert sorted(label for _, label in found.judged) == [0, 0, 1, 1]


def test_half_of_one_part_is_judged(tmp_path):
    for name in ("a", "b"):
        images(tmp_path / name, 3)
    found = files_in(tmp_path, seed=1)
    assert not {*found.fitting} & {file for file, _ in found.judged}
    assert all(file.parent.name == found.classes[label] for file, label in found.judged)


def test_no_images_is_one_line(tmp_path):
    with pytest.raises(DataError, match="has no images, and no folders with images in it"):
        files_in(tmp_path, seed=1)
    with pytest.raises(DataError, match="`data_dir` must name one with images in it"):
        files_in(tmp_path / "nowhere", seed=1)


@pytest.mark.parametrize(("shape", "wanted"), [((2, 3, 4, 6), (2, 3, 4, 6)), ((2, 4, 6, 3), (2, 4, 6, 3))])
def test_pixels_are_scaled_and_put_where_the_network_has_its_channels(shape, wanted, tmp_path):
    Image.fromarray(np.full((4, 6, 3), 51, np.uint8)).save(tmp_path / "a.png")
    reader = Reader.of(port(*shape), "0.1,0.2,0.3", "0.5")
    (batch,) = reader.batches([tmp_path / "a.png"] * 2)
    assert tuple(batch.shape) == wanted
    channels = batch[0, :, 0, 0] if shape[1] == 3 else batch[0, 0, 0]
    assert channels.tolist() == pytest.approx([0.2, 0.0, -0.2], abs=1e-6)


@pytest.mark.parametrize("text", ["", "a", "1,2", "nan", "1,2,3,4"])
def test_means_that_are_none_are_refused(text):
    with pytest.raises(ArgumentError, match="type 3 numbers with commas between"):
        Reader.of(port(2, 3, 4, 4), text, None)


def test_a_deviation_of_zero_is_refused():
    with pytest.raises(ArgumentError, match="`std='0'`"):
        Reader.of(port(2, 3, 4, 4), None, "0")


def test_inputs_that_take_no_images_are_named():
    with pytest.raises(DataError, match="input 'x' of 2x16 takes no images"):
        Reader.of(port(2, 16), None, None)


def test_colour_images_for_a_grey_network_are_named(tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="colour images"):
        [*Reader.of(port(2, 1, 4, 4), None, None).batches([tmp_path / "a.png"])]
