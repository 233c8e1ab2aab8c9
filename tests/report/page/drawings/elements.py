"""What a drawing is made of."""

from xml.etree import ElementTree as ET


def of_class(text: str, name: str, kind: str) -> list[dict[str, str]]:
    """The attributes of all elements of a kind that are of a class; the drawing has to be whole."""
    return [each.attrib for each in ET.fromstring(text).iter(name) if kind in each.get("class", "").split()]  # noqa: S314


def titles(text: str) -> list[str]:
    """What its parts say when they are pointed at."""
    return [each.text or "" for each in ET.fromstring(text).iter("title")]  # noqa: S314
