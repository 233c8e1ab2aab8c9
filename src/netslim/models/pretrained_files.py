"""What is said of files with pretrained weights that can't be had, or are not what their name says."""

from pathlib import Path

from netslim.core.errors import CheckpointError


def wrong_hash(path: Path) -> CheckpointError:
    """The error for a cached file that is not what its name says."""
    return CheckpointError(f"{path} does not have the SHA-256 that its name says: delete it and try again")


def unavailable(what: str, cause: object, url: str, remedy: str) -> CheckpointError:
    """The error for pretrained weights that are neither cached nor to be downloaded."""
    reason = str(cause).partition("\n")[0].rstrip(".: ") or type(cause).__name__
    return CheckpointError(
        f"cannot get pretrained weights of {what}: {reason}; download {url} where there is a network and {remedy}, "
        "or pass it with `weights=FILE`, or start without it with `pretrained=False`"
    )
