"""The records of architectures and libraries."""

from netslim.models.registry import ARCHITECTURES, LIBRARIES, library_networks


def test_the_names() -> None:
    assert ARCHITECTURES.names() == ["densenet", "resnet", "vgg"]
    assert LIBRARIES.names() == ["timm", "torchvision"]
    assert library_networks() == ["timm/NAME", "torchvision/NAME"]


def test_a_librarys_resnets_are_among_its_networks() -> None:
    for name in LIBRARIES.names():
        record = LIBRARIES.get(name)
        assert set(record.resnets()) <= set(record.names())
