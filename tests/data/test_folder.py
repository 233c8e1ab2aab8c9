import warnings
from pathlib import Path

import pytest
import torch
from image_files import colour, in_files, noise, photograph, save
from PIL import Image

from netslim.core.errors import DataError, NetslimWarning
from netslim.data import folder as folder_module
from netslim.data import load_dataset


def test_a_folder(root: Path) -> None:
    (root / "train" / "ant" / ".hidden.png").write_bytes(b"no image")
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    dataset = load_dataset("folder", root)
    assert dataset.class_names == ("ant", "bee")
    assert dataset.train.images.shape == (4, 3, 8, 8)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.train.images[:, :, 0, 0].tolist() == [[0, 0, 7], [0, 50, 7], [100, 0, 7], [100, 50, 7]]
    assert dataset.test.images[:, :, 4, 4].tolist() == [[0, 99, 7], [100, 99, 7]]
    assert dataset.mean == pytest.approx((50 / 255, 25 / 255, 7 / 255))
    assert dataset.std == pytest.approx((50 / 255, 25 / 255, 1.0))
    assert (dataset.augmentation.pad, dataset.augmentation.flip) == (1, True)


def test_val_stands_in_for_test(root: Path) -> None:
    (root / "test").rename(root / "val")
    assert len(load_dataset("folder", root).test) == 2


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset("folder", tmp_path)
    assert str(caught.value) == (
        f"there is no folder {tmp_path / 'train'}: "
        "`data_dir` must name a folder with train/<class>/ and test/<class>/ in it"
    )


def test_no_test_folder(root: Path) -> None:
    (root / "test").rename(root / "other")
    with pytest.raises(DataError, match=f"there is no folder {root / 'test'} or {root / 'val'}: `data_dir` must"):
        load_dataset("folder", root)


def test_no_classes(tmp_path: Path) -> None:
    save(colour(), tmp_path / "train" / "a.png")
    with pytest.raises(
        DataError, match=r"train has no class folders: put the images of each class in .*train/<class>/"
    ):
        load_dataset("folder", tmp_path)


def test_an_empty_class(root: Path) -> None:
    (root / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"class folder .*cat has no images: add some or remove it"):
        load_dataset("folder", root)


@pytest.mark.parametrize(("part", "other"), [("train", "test"), ("test", "train")])
def test_a_class_in_one_part_only(root: Path, part: str, other: str) -> None:
    save(colour(), root / part / "cat" / "0.png")
    with pytest.raises(
        DataError, match=f"there are {part} images but no {other} images of 'cat': both need all classe"
    ):
        load_dataset("folder", root)


def test_mean_and_deviation_of_images_in_files_are_of_some_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_SAMPLE", 30 * 3 * 64)
    dataset = in_files(noise(tmp_path, 90, 2), monkeypatch)
    assert dataset.mean == pytest.approx((0.5, 0.5, 0.5), abs=0.02)
    assert dataset.std == pytest.approx((0.2887,) * 3, abs=0.01)


def test_one_colour_image_in_files_makes_all_of_them_colour(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ant", "bee"):
        for file in (root / "train" / name / "0.png", root / "train" / name / "1.png", root / "test" / name / "0.png"):
            save(Image.new("L", (8, 8), 66), file)
    assert in_files(root, monkeypatch).in_channels == 1
    save(colour(), root / "test" / "bee" / "9.png")
    assert in_files(root, monkeypatch).in_channels == 3


@pytest.mark.parametrize("image_size", [None, 8])
def test_photographs_are_turned_in_memory_and_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_size: int | None
) -> None:
    for part in ("train", "test"):
        for suffix in ("png", "jpg"):
            photograph(tmp_path / part / "x" / f"a.{suffix}", 6)
            photograph(tmp_path / part / "x" / f"b.{suffix}", 8)
    resident = load_dataset("folder", tmp_path, image_size=image_size)
    streamed = in_files(tmp_path, monkeypatch, image_size=image_size)
    assert resident.image_size == streamed.image_size == ((24, 16) if image_size is None else (8, 8))
    images = resident.train.images.float().mean(1)
    assert [bool(image[0].mean() > 200) for image in images] == [True, True, False, False]
    assert [bool(image[-1].mean() > 200) for image in images] == [False, False, True, True]
    _, again = next(iter(streamed.train.rows([torch.arange(4)])))
    assert torch.equal(again, resident.train.images)


def test_sizes_and_headers_of_images_in_files_are_looked_at_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(colour(9, 7), root / "test" / "bee" / "1.png")
    with pytest.raises(DataError, match=rf"the images differ in size .*{other} is 9x7.*type `image_size=N`"):
        in_files(root, monkeypatch)
    other.write_text("<html>no image</html>")
    with pytest.raises(DataError, match=rf"^cannot read image {other} \(no image format is recognised\): repair it"):
        in_files(root, monkeypatch, image_size=8)


def test_folders_in_a_class_belong_to_it(root: Path) -> None:
    """As torchvision's ImageFolder takes them; but nothing hidden, and no folder for a file."""
    before = len(load_dataset("folder", root).train)
    save(colour(), root / "train" / "ant" / "more" / "deeper.png" / "1.png")
    save(colour(), root / "train" / "ant" / ".ipynb_checkpoints" / "2.png")
    train = load_dataset("folder", root).train
    assert len(train) == before + 1
    assert int((train.labels == 0).sum()) == before // 2 + 1


def test_links_to_folders_are_followed_once(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(colour(), elsewhere / "1.png")
    (root / "train" / "ant" / "more").symlink_to(elsewhere)
    (root / "train" / "ant" / "again").symlink_to(root / "train" / "ant")
    assert load_dataset("folder", root).train.labels.tolist() == [0, 0, 0, 1, 1]


def test_images_that_can_not_be_read_are_said_once(root: Path) -> None:
    ant, test = root / "train" / "ant", root / "test" / "bee" / "more"
    test.mkdir()
    for file in (ant / "1.heic", ant / "2.HEIC", test / "3.avif", ant / ".4.heic", ant / "5.json", ant / "Thumbs.db"):
        file.write_bytes(b"")
    with pytest.warns(NetslimWarning) as caught:
        load_dataset("folder", root)
    assert [str(each.message) for each in caught] == [
        f"3 files in {ant} and 1 more folder are no images that can be read (.avif, .heic): convert them"
    ]
    for file in (ant / "2.HEIC", test / "3.avif"):
        file.unlink()
    with pytest.warns(NetslimWarning, match=rf"^1 file in {ant} is no image that can be read \(.heic\): convert them$"):
        load_dataset("folder", root)


def test_other_files_are_passed_over_without_a_word(root: Path) -> None:
    for name in ("1.json", "labels.txt", "Thumbs.db", ".2.heic"):
        (root / "train" / "ant" / name).write_bytes(b"")
    with warnings.catch_warnings(action="error"):
        assert len(load_dataset("folder", root).train) == 4


def test_a_class_of_images_that_can_not_be_read(root: Path) -> None:
    (root / "train" / "cat").mkdir()
    (root / "train" / "cat" / "1.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"cat has no images that can be read \(1 are .heic\): convert them$"):
        load_dataset("folder", root)


@pytest.mark.parametrize("target", ["..", "../..", "../../.."])
def test_a_link_to_where_the_class_lies_is_refused(root: Path, target: str) -> None:
    """Through it the images of other classes would have this one's label."""
    link = root / "train" / "ant" / "up"
    link.symlink_to(target)
    place = link.parent.joinpath(target).resolve()
    with pytest.raises(
        DataError,
        match=f"^{link} is a link to {place}, which contains the class folder {link.parent}: remove the link$",
    ):
        load_dataset("folder", root)


def test_a_link_out_of_a_class_that_is_a_link_itself_is_refused(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(colour(), elsewhere / "cat" / "1.png")
    for part in ("train", "test"):
        (root / part / "cat").symlink_to(elsewhere / "cat")
    assert load_dataset("folder", root).num_classes == 3
    (elsewhere / "cat" / "all").symlink_to(root / "train")
    with pytest.raises(DataError, match=r"cat/all is a link to .*train, which contains the class folder .*train/cat"):
        load_dataset("folder", root)
