"""Decoding: bytes to pixels, or an `ImageError`. Imports Pillow alone."""

import math
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

from PIL import Image, ImageFile, UnidentifiedImageError

from faceengine.errors import ImageError, Problem
from faceengine.imaging import completeness, formats, rgb

Source: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO
"""The source of an image: its bytes, the path of its file, or a seekable binary file."""

MAX_PIXELS = 128_000_000
"""The default pixel cap: above a 108-megapixel phone, and 512 MB as Pillow keeps RGB."""

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
    has at least `enough_pixels` pixels, or is at full scale.
    """
    with opened(source, max_pixels) as image:
        size, turn = image.size, rgb.orientation(image)
        _draft(image, enough_pixels)
        image.load()
        turn = _turn_left(image, turn)
        decoded = rgb.upright(rgb.to_rgb(image), turn)
    return bare(decoded), size if turn not in rgb.SIDEWAYS else (size[1], size[0])


def _draft(image: ImageFile.ImageFile, enough_pixels: int) -> None:
    """Have a JPEG decoded at the smallest scale that leaves `enough_pixels`."""
    share = (enough_pixels / (image.width * image.height)) ** 0.5
    if share < 1 and formats.name(image) == "JPEG":
        image.draft(None, (math.ceil(image.width * share), math.ceil(image.height * share)))


def check_image(
    source: Source,
    *,
    max_pixels: int = MAX_PIXELS,
    decoding: Callable[[int], AbstractContextManager[object]] = nullcontext,
) -> ImageInfo:
    """Make sure that `load_image` will take `source`, at the least cost. Thread-safe.

    The whole of the compressed data is read, as every pixel's presence is what is to be checked; a
    JPEG's is decoded at an eighth of its scale, which leaves out most of the arithmetic (1080p:
    about 10 ms). Raises as `load_image` does, and leaves a file object at its start.

    `decoding` is called with the number of pixels before they take memory, 4 bytes each; the
    context manager that it returns is left when they are freed. The caller can wait for room in it.
    """
    with ExitStack() as room:
        with opened(source, max_pixels) as image:
            name, size = formats.name(image), image.size
            room.enter_context(decoding(size[0] * size[1]))
            turn = rgb.orientation(image)  # of a PNG, Pillow decodes it all to see
            _draft(image, 1)
            image.load()
            turn = _turn_left(image, turn)
        del image
    width, height = size if turn not in rgb.SIDEWAYS else size[::-1]
    return ImageInfo(name, width, height)


def _turn_left(image: Image.Image, turn: int) -> int:
    """The rest of `turn`: decoders that turn the pixels themselves drop the tag."""
    return turn if rgb.orientation(image) == turn else 1


def bare(image: Image.Image) -> Image.Image:
    """`image` as a plain `Image`, without the decoder, its file and the metadata."""
    plain = Image.new(image.mode, (0, 0))
    plain.im = image.im
    plain._size = image.size
    return plain


@contextmanager
def opened(source: Source, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """Open `source` without decoding it; whatever its decoder raises inside is an `ImageError`."""
    with _stream(source) as stream, _refusing():
        image = formats.identify(stream)
        _check_size(image.size, max_pixels)
        yield image
        completeness.check(image, stream)


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(Problem.CORRUPT, "The image has no pixels.")
    if width * height > max_pixels:
        message = f"The image has {width} × {height} pixels; {max_pixels:,} are allowed."
        raise ImageError(Problem.TOO_LARGE, message)


@contextmanager
def _stream(source: Source) -> Iterator[BinaryIO]:
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
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        message = "The image has more pixels than are allowed."
        raise ImageError(Problem.TOO_LARGE, message) from error
    except UnidentifiedImageError as error:
        raise ImageError(Problem.NOT_AN_IMAGE, "The file is not an image.") from error
    except _DECODER_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _refusal(error) from error


def _refusal(error: Exception) -> ImageError:
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in ("truncated", "end of file")):
        return ImageError(Problem.TRUNCATED, "The image is cut short: its end is missing.")
    return ImageError(Problem.CORRUPT, "The image is damaged and can not be decoded.")
