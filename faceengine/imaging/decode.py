"""Decoding: bytes to pixels, or an `ImageError`. Imports Pillow alone."""

import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

from PIL import Image, ImageFile, UnidentifiedImageError

from faceengine.errors import ImageError, Problem
from faceengine.imaging import completeness, formats, inspection, isolation, rgb
from faceengine.imaging.budget import Budget

Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
"""The source of an image: its bytes, the path of its file, or a seekable binary file."""

# Pillow's own bound knows nothing of `max_pixels`, which is checked before a pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

MAX_PIXELS = 128_000_000
"""The default pixel cap: above a 108-megapixel phone, and 512 MB as Pillow keeps RGB."""

DETAILED_PIXELS = 25_000_000
"""Small faces, and pictures of the whole, take all the pixels of an image; but a JPEG that has so
many at half its scale comes at that. The whole of 100 megapixels takes 400 MB."""

_HERE_BYTES = 64 << 20
_HERE_S = 0.4
"""An image that takes more is checked by another process: most photos are smaller."""

_room = Budget(128 << 20)
"""Of all checks in this process."""

# What Pillow's decoders raise on hostile bytes, collected by fuzzing them (tests/test_hostile.py).
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,  # where the process turns warnings into errors
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The result of `check_image`: the format's name, and the upright image's size in pixels."""

    format: str
    width: int
    height: int


def load_image(source: Source, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode `source` into an upright RGB image: the first frame, transparency on white.

    Accepts JPEG, PNG, GIF, WebP, BMP, TIFF, HEIC and AVIF. All eight EXIF orientations are applied
    and the metadata is left out. A file object is read from its start.

    Raises `ImageError` for what is no image, is damaged or cut short, or has over `max_pixels`
    pixels (checked before a pixel is decoded), and `OSError` where the file itself can not be read.
    """
    return load_reduced(source, max_pixels, max_pixels=max_pixels)[0]


def load_reduced(
    source: Source, enough_pixels: int, *, max_pixels: int
) -> tuple[Image.Image, tuple[int, int]]:
    """As `load_image`, but a JPEG larger than `enough_pixels` may come out at 1/2, 1/4 or 1/8.

    Returns the image and the size (width, height) that it has at full scale, upright. The image
    has at least `enough_pixels` pixels, or is at full scale. A file that is not plain is decoded
    by a process of its own.
    """
    with stream_of(source) as stream, _refusing():
        cost = inspection.inspect(stream)
        if cost.is_plain:
            _refuse_plain_beyond(cost, stream, max_pixels)
            return load_here(stream, enough_pixels, max_pixels=max_pixels)
        answer = isolation.run(
            stream,
            "load",
            isolation.LOAD,
            arguments={"enough_pixels": enough_pixels, "max_pixels": max_pixels},
        )
    if "image" not in answer:
        raise ImageError(Problem.TOO_LARGE, isolation.TOO_COSTLY)
    width, height = answer["full_size"]
    return answer["image"], (width, height)


def load_here(
    source: Source, enough_pixels: int, *, max_pixels: int
) -> tuple[Image.Image, tuple[int, int]]:
    """`load_reduced` in this process."""
    with opened(source, max_pixels) as image:
        turn = rgb.orientation(image)
        size = _loaded(image, enough_pixels)
        decoded = rgb.upright(rgb.to_rgb(formats.visible(image)), turn)
    return bare(decoded), size if turn not in rgb.SIDEWAYS else (size[1], size[0])


def _loaded(image: ImageFile.ImageFile, enough_pixels: int) -> tuple[int, int]:
    """Decode, a JPEG at the smallest scale that leaves `enough_pixels`; the size at full scale."""
    size, share = image.size, (enough_pixels / (image.width * image.height)) ** 0.5
    if formats.name(image) == "JPEG":
        if share < 1:
            image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))
        image.load()
        return size
    image.load()  # that of HEIC may find that the shown part is smaller than its header says
    return tuple(image.info.get("clap", image.size))


def check_image(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    waiting: Callable[[], AbstractContextManager[object]] = nullcontext,
    client: str | None = None,
) -> ImageInfo:
    """Make sure that `load_image` will take `source`, at the least cost. Thread-safe.

    The whole of the compressed data is read, as every pixel's presence is what is to be checked; a
    JPEG's is decoded at an eighth of its scale, which leaves out most of the arithmetic (1080p:
    about 10 ms). Raises as `load_image` does, and leaves a file object at its start.

    A file that is not plain, or large, is decoded by a process of its own, in at most 2 s and
    280 MB: a smaller file that takes more is refused, of a larger one the header alone is checked.
    `waiting` is entered meanwhile; all decodes of this process share a budget of memory, and those
    of one `client` leave a decoder to others. Raises `isolation.Busy` if too many wait.
    """
    with stream_of(source) as stream, _refusing():
        cost = inspection.inspect(stream)
        if cost.is_plain:
            _refuse_plain_beyond(cost, stream, max_pixels)
        if cost.is_plain and inspection.is_beyond(cost, isolation.CHECK):
            return _header(stream, max_pixels)
        if cost.is_plain and cost.memory_bytes <= _HERE_BYTES and cost.seconds <= _HERE_S:
            with _room.reserved(cost.memory_bytes):
                return check_here(stream, max_pixels=max_pixels)
        with waiting():
            arguments = {"max_pixels": max_pixels}
            answer = isolation.run(
                stream, "check", isolation.CHECK, arguments=arguments, client=client
            )
    if not answer.get("whole"):
        raise ImageError(Problem.TOO_LARGE, isolation.TOO_COSTLY)
    return ImageInfo(answer["format"], answer["width"], answer["height"])


def _header(stream: BinaryIO, max_pixels: int) -> ImageInfo:
    image = formats.identify(stream)
    _check_size(image.size, max_pixels)
    return ImageInfo(formats.name(image), *image.size)


def check_here(
    source: Source,
    *,
    max_pixels: int,
    opened_as: Callable[[str, tuple[int, int]], None] = lambda *_: None,
) -> ImageInfo:
    """`check_image` in this process. `opened_as` is called before pixels take memory."""
    with opened(source, max_pixels) as image:
        name, size = formats.name(image), image.size
        opened_as(name, size)
        turn = rgb.orientation(image)
        size = _loaded(image, 1)
    width, height = size if turn not in rgb.SIDEWAYS else size[::-1]
    return ImageInfo(name, width, height)


def refuse_beyond(cost: inspection.Cost) -> None:
    """Raise `ImageError` for an image that no process is allowed to decode."""
    most = isolation.LOAD.memory_bytes
    needed = max(cost.memory_bytes, cost.load_bytes)
    if needed > most:
        message = f"The image needs {needed >> 20:,} MB to decode; "
        raise ImageError(Problem.TOO_LARGE, f"{message}{most >> 20:,} are allowed.")


def _refuse_plain_beyond(cost: inspection.Cost, stream: BinaryIO, max_pixels: int) -> None:
    if max(cost.memory_bytes, cost.load_bytes) > isolation.LOAD.memory_bytes:
        _check_size(formats.identify(stream).size, max_pixels)  # its reason is clearer
        refuse_beyond(cost)


def bare(image: Image.Image) -> Image.Image:
    """`image` as a plain `Image`, without the decoder, its file and the metadata."""
    plain = Image.new(image.mode, (0, 0))
    plain.im = image.im
    plain._size = image.size
    return plain


@contextmanager
def opened(source: Source, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open `source` without decoding it; whatever its decoder raises inside is an `ImageError`."""
    with stream_of(source) as stream, _refusing():
        image = completeness.with_end(formats.identify(stream))
        image.info.pop("xmp", None)  # the decoder of TIFFs would look for an orientation in it
        _check_size(image.size, max_pixels)
        yield image
        completeness.check(image, stream)


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(Problem.CORRUPT, "The image has no pixels.")
    if width * height > max_pixels:
        message = (
            f"The image has {width} × {height} = {width * height:,} pixels;"
            f" at most {max_pixels:,} are allowed."
        )
        raise ImageError(Problem.TOO_LARGE, message)


@contextmanager
def stream_of(source: Source) -> Iterator[BinaryIO]:
    """`source` as a file at its start; one that was given is left there."""
    if isinstance(source, bytes | bytearray | memoryview):
        yield BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield file
    else:
        source.seek(0)
        try:
            yield source
        finally:
            source.seek(0)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what a decoder raises into an `ImageError`; let real I/O errors (an errno) through."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(Problem.NOT_AN_IMAGE, "The file is not an image.") from error
    except _DECODER_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _refusal(error) from error


_OF_MISSING_BYTES = ("truncated", "end of file", "unrecognized data stream")
"""In messages of Pillow: the last is of a PNG whose stream ends before its last row."""


def _refusal(error: Exception) -> ImageError:
    text = str(error).lower()
    if isinstance(error, MemoryError):
        return ImageError(Problem.TOO_LARGE, isolation.TOO_COSTLY)
    if isinstance(error, EOFError) or any(words in text for words in _OF_MISSING_BYTES):
        return ImageError(Problem.TRUNCATED, "The image is cut short: its end is missing.")
    return ImageError(Problem.CORRUPT, "The image is damaged and can not be decoded.")
