"""The one exception of a download."""


class DownloadError(Exception):
    """The image could not be had. `message` is for the person who gave the URL.

    It names hosts, never a path or query: these may hold tokens. `permanent` is true where trying
    the same URL again cannot help.
    """

    def __init__(self, message: str, permanent: bool) -> None:
        super().__init__(message, permanent)
        self.message = message
        self.permanent = permanent

    def __str__(self) -> str:
        return self.message
