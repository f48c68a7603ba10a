"""The uploads that tests across processes share: a face, a large photo, and none at all."""

import os
from functools import cache
from typing import Final

from tests.support import image_factories

DETECTOR: Final = os.environ.get("TESTS_DETECTOR", "hog")
"""Of every test that names none: golden boxes and encodings are HOG's, and every set-up has it.

The apps' tests pass with `TESTS_DETECTOR=yunet` too.
"""

_COMMENT = b"\xff\xfe"


@cache
def face() -> bytes:
    """A small JPEG with one face: a fifth of a second's work."""
    return image_factories.encoded(image_factories.portrait(width=300))


@cache
def no_face() -> bytes:
    """A small JPEG in which there is no face."""
    return image_factories.encoded(image_factories.faceless())


@cache
def phone_photo() -> bytes:
    """12 megapixels with two faces: in work long enough to be caught there."""
    return image_factories.encoded(image_factories.twelve_megapixels())


def another(jpeg: bytes, number: int) -> bytes:
    """The same picture in other bytes: with a comment in the file, so it has no analysis yet."""
    text = f"number {number}".encode()
    return jpeg[:2] + _COMMENT + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]
