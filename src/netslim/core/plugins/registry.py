"""Names -> plug-ins. A file in the right room is enough: the room's modules are imported at the first look-up.

One rule for every kind of plug-in: its file ends in one call that files a frozen record,

    CRITERIA.register("l1_norm")(Criterion(score=l1_norm, needs_scales=False))

and the record says all there is to know of it: the functions, and in literals what it needs and can do. Help texts and
lists in errors come from these records. The command line's help must not wait for torch, so it reads the literals from
the source (`declarations.py`); look-ups here import it. Plug-ins of other packages are modules with the same call,
named by entry points of the group `netslim.plugins`; they are imported at the first look-up, too.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

from netslim.core.errors import unknown_name
from netslim.core.plugins.declarations import is_loading_outside, load_outside

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to objects of one kind.

    Args:
        kind: what the entries are, for error messages ("data set").
        package: the package whose modules register entries; they are imported at the first look-up, so that the command
            line can list options without importing what it does not use.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._entries: dict[str, T] = {}
        self._imported = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that files an object under `name`. Raises ValueError if the name is taken."""

        def add(entry: T) -> T:
            if is_loading_outside():
                self._import_room()  # netslim's own have their names first
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> T:
        """The entry called `name`. Raises UsageError with the nearest names if there is none."""
        self._discover()
        if not isinstance(name, str) or name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        self._discover()
        return sorted(self._entries)

    def _discover(self) -> None:
        self._import_room()
        load_outside()

    def _import_room(self) -> None:
        if self._imported:
            return
        self._imported = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__, f"{self._package}."):
            importlib.import_module(module.name)
