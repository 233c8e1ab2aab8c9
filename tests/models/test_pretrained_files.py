"""What is said of pretrained weights that can't be had."""

from pathlib import Path

from netslim.models.pretrained_files import unavailable, wrong_hash


def test_the_remedies_are_named() -> None:
    error = unavailable("timm resnet18", OSError("no route to host.\nmore"), "ADDRESS", "put it at CACHE")
    assert str(error) == (
        "cannot get pretrained weights of timm resnet18: no route to host; download ADDRESS where there is a network "
        "and put it at CACHE, or pass it with `weights=FILE`, or start without it with `pretrained=False`"
    )
    assert "of x: TimeoutError; download" in str(unavailable("x", TimeoutError(), "ADDRESS", "put it there"))


def test_a_wrong_file() -> None:
    assert str(wrong_hash(Path("x.pth"))) == (
        "x.pth does not have the SHA-256 that its name says: delete it and try again"
    )
