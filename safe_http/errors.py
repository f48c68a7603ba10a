"""The exceptions of a request."""


class FetchError(Exception):
    """The request failed. `message` is for the person who gave the URL.

    It names hosts, never a path or query: these may hold tokens. `permanent`: the same URL will
    fail again. `status` is the server's answer, 0 if there was none; `retry_after_s` is the pause
    that it asks for.
    """

    def __init__(
        self, message: str, permanent: bool, status: int = 0, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message, permanent, status, retry_after_s)
        self.message = message
        self.permanent = permanent
        self.status = status
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class NotAnImage(FetchError):
    """The server sent something whose type or first bytes are not an image's."""


class GivenUp(FetchError):
    """The caller gave the download up before it had ended (`Hold`)."""

    def __init__(self) -> None:
        super().__init__("The download was given up.", permanent=False)
