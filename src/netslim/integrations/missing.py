"""What to say where a library that an integration is for is not installed."""

from netslim.core.errors import UsageError


class MissingLibraryError(UsageError, ImportError):
    """A library is not installed: what to type."""

    def __init__(self, library: str) -> None:
        super().__init__(f"{library} is not installed: type pip install 'netslim[integrations]', or {library} alone")
