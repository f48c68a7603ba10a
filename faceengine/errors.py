"""The exceptions. Every message is a sentence that may be shown to a person."""

from enum import StrEnum


class Problem(StrEnum):
    """Why an image was refused: the machine-readable half of `ImageError`."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED = "unsupported"
    UNSUPPORTED_IMAGE = "unsupported_image"
    """An image, but of a format or kind that is not decoded here."""
    CAMERA_RAW = "camera_raw"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_LARGE = "too_large"


class FaceEngineError(Exception):
    """The base of every error that faceengine raises on purpose."""


class ImageError(FaceEngineError):
    """The image can not be used. Trying the same bytes again gives the same error.

    `reason` is a `Problem` (a `str`), for programs; `str(error)` is a sentence, for people.
    """

    def __init__(self, reason: Problem, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[Problem, str]]:
        # Exceptions pickle by `args`, which lacks the reason; job queues pickle exceptions.
        return type(self), (self.reason, str(self))


class ModelError(FaceEngineError):
    """A model file is missing or damaged, or the configured provider is not installed."""
