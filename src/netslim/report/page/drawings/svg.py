"""Elements of SVG as text; whatever stands in them is escaped."""

from __future__ import annotations

from markupsafe import Markup, escape


def tag(name: str, *content: Markup | str, **attributes: object) -> Markup:
    """An element. `class_` is class, `text_anchor` text-anchor; floats have one digit."""
    words = [name, *(f'{_named(key)}="{escape(_plain(value))}"' for key, value in attributes.items())]
    inside = Markup("").join(content)
    return Markup("<{}>{}</{}>").format(Markup(" ".join(words)), inside, Markup(name))  # noqa: S704


def drawing(width: float, height: float, *content: Markup, title: str, kind: str = "", fixed: bool = False) -> Markup:
    """A whole drawing, which readers that can't be shown it are told as `title`.

    Args:
        width, height: in its own units.
        content: what is in it.
        title: what it says.
        kind: its class.
        fixed: whether a unit is a pixel of the page; else it is as wide as its place.
    """
    size = {"width": width, "height": height} if fixed else {}
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=title,
        class_=f"drawing {kind}".strip(),
        **size,
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    """Words at a place; `anchor` is start, middle or end."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _named(key: str) -> str:
    return key if key == "viewBox" else key.rstrip("_").replace("_", "-")


def _plain(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
