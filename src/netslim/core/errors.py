"""What can go wrong in a way the user can mend: every message says what was given, what is allowed and what to type."""

import difflib
from collections.abc import Iterable, Sequence


class NetslimError(Exception):
    """Base of all errors meant for the user; the command line prints it as one line and exits with `exit_code`.

    >>> import netslim
    >>> try:
    ...     netslim.create_model("resnet", depth=12)
    ... except netslim.NetslimError as error:
    ...     print(error)
    `depth=12`: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20
    """

    exit_code = 1


class NetslimWarning(UserWarning):
    """Something was done as asked, but is probably not what was meant.

    >>> import warnings, netslim
    >>> with warnings.catch_warnings(action="error", category=netslim.NetslimWarning):
    ...     model = netslim.create_model("resnet", depth=11)  # a doubt would raise here
    """


class UsageError(NetslimError):
    """The command or the arguments are wrong: nothing was started."""

    exit_code = 2


class CheckpointError(NetslimError):
    """A file is missing, damaged, unsafe or holds another network than the one asked for."""


class DataError(NetslimError):
    """A data set is missing, damaged or not what its hash says."""


class UserCodeError(NetslimError):
    """Code of the user's own, which the command line named, raised something; the message has its file and line."""


class DivergedError(NetslimError):
    """The loss became NaN or infinite."""


class InterruptedRunError(NetslimError):
    """A signal ended the run after its state was saved; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class LostProcessError(NetslimError):
    """One of several processes that train together has ended or can't be reached any more."""


def retold(error: NetslimError, text: str) -> NetslimError:
    """An error of the same kind with another text."""
    kinds = (UsageError, CheckpointError, DataError, UserCodeError, DivergedError)
    return next((kind for kind in kinds if isinstance(error, kind)), NetslimError)(text)


def setting(name: str, given: object) -> str:
    """`name=given` in backticks, as a Python call has it: how messages write settings.

    A command line can spell it in its own way, because the backticks say where it begins and ends.
    """
    return f"`{name}={given if isinstance(given, float | int | list) or given is None else repr(str(given))}`"


class ArgumentError(UsageError):
    """A setting has a value that it can't have; its text is "`field=given`: allowed".

    Attributes:
        field: name of the setting, which is the name of the function's parameter.
        given: its value.
        allowed: which values it can have, and what to type.
    """

    def __init__(self, field: str, given: object, allowed: str) -> None:
        super().__init__(field, given, allowed)
        self.field = field
        self.given = given
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{setting(self.field, self.given)}: {self.allowed}"


def one_of(names: Iterable[str]) -> str:
    """`['a', 'b']` -> `a, b`: a list of the allowed names for a message."""
    return ", ".join(names)


def either(names: Iterable[str]) -> str:
    """`['a', 'b', 'c']` -> `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def with_article(name: str) -> str:
    """`EfficientNet` -> `an EfficientNet`; a U is said as in UNet."""
    return f"{'an' if name[:1].lower() in {*'aeio'} else 'a'} {name}"


def first_of(items: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first `most` of a list, and how many more there are: `a, b and 3 more`, `a; b; and 3 more`."""
    more = f"{separator.rstrip(', ')} and {len(items) - most} more" if len(items) > most else ""
    return f"{separator.join(items[:most])}{more}"


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind, if it says nothing."""
    if isinstance(error, OSError) and error.strerror:  # without the number
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


READABLE = 150


def nearest(given: object, names: Iterable[str]) -> list[str]:
    """Up to three of the names that are spelled much like the given one, the nearest first."""
    return difflib.get_close_matches(str(given).lower(), sorted(names), n=3, cutoff=0.5)


def unknown_name(kind: str, given: object, allowed: Iterable[str], near: Sequence[str] | None = None) -> UsageError:
    """The error for a name that is not in a list; a list too long to read is counted.

    Args:
        kind: what the names are ("data set").
        given: the name.
        allowed: the list.
        near: what was probably meant; without it the nearest names of the list.
    """
    names = sorted(allowed)
    meant = nearest(given, names) if near is None else near
    hint = f"; did you mean {' or '.join(meant)}?" if meant else ""
    known = (one_of(names) or "none") if len(names) <= READABLE else f"{len(names):,} names"
    return UsageError(f"unknown {kind} '{given}'{hint} (known: {known})")
