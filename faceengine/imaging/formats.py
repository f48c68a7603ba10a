"""The accepted formats and their detection. Imports Pillow alone (HEIC: pillow-heif)."""

import struct
from contextlib import suppress
from fractions import Fraction
from typing import BinaryIO

from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from faceengine.errors import ImageError, Problem
from faceengine.imaging import animations, camera_raw, other_formats, png_notes

# Pillow knows some fifty formats, some by starting other programs (EPS runs Ghostscript). Naming
# these keeps the rest out of an attacker's reach.
_PILLOW = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")

# Profiles with tables have megabytes.
PngImagePlugin.MAX_TEXT_CHUNK = 8 << 20

_HEIC_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_HEAD_BYTES = 64

_NEW_SUBFILE_TYPE, _REDUCED, _MOST_THUMBNAILS = 254, 1, 10

_CAMERA_RAW = "The file is a camera's raw file: export it as JPEG, or send the camera's JPEG."

_BEFORE_PIXELS_BYTES = 1 << 16
"""AVIF and HEIC describe themselves in the box "meta", in front of the pixels."""


def identify(stream: BinaryIO) -> ImageFile.ImageFile:
    """Open the image in `stream`, read up to its pixels, in one of the accepted formats."""
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if not head:
        raise ImageError(Problem.EMPTY, "The file is empty.")
    if camera_raw.is_camera_raw(stream, head):
        raise ImageError(Problem.CAMERA_RAW, _CAMERA_RAW)
    if _is_heic(head):
        return _with_properties(_open_heic(stream), stream)
    other_formats.refuse(head)
    try:
        readable = png_notes.without_odd_notes(stream, head) or animations.mended(stream, head)
        image = Image.open(readable, formats=_PILLOW)
        return _with_properties(_past_thumbnails(image), readable)
    except UnidentifiedImageError:
        if not _is_known(head):
            raise
        # The right first bytes and then a header that makes no sense.
        raise ImageError(Problem.CORRUPT, "The image's header is damaged.") from None


def _past_thumbnails(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """`image` at its first page that is no reduced copy of another (TIFF 6.0, NewSubfileType)."""
    tags = getattr(image, "tag_v2", {})
    if image.format != "TIFF" or not tags.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED:
        return image
    for page in range(1, _MOST_THUMBNAILS):
        try:
            image.seek(page)
        except EOFError:
            break
        if not image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _REDUCED:  # type: ignore[attr-defined]
            return image
    image.seek(0)
    return image


def _with_properties(image: ImageFile.ImageFile, stream: BinaryIO) -> ImageFile.ImageFile:
    """`image`, with the colour primaries and the transfer of AVIF or HEIC in its `info`.

    And what `visible` needs of an AVIF.
    """
    if image.format not in ("AVIF", "HEIF"):
        return image
    position = stream.tell()
    stream.seek(0)
    data = stream.read(_BEFORE_PIXELS_BYTES)
    stream.seek(position)
    at = data.find(b"colrnclx") + 8
    if at >= 8 and len(data) >= at + 4:
        image.info["nclx"] = struct.unpack_from(">HH", data, at)
    at = data.find(b"clap") + 4
    if image.format == "AVIF" and at >= 4 and (size := _clean_aperture(data, at, image.size)):
        image.info["clap"] = size
    return image


def _clean_aperture(data: bytes, at: int, whole: tuple[int, int]) -> tuple[int, int] | None:
    """The part of an AVIF that browsers show: Chromium ignores one that does not begin at the
    corner, or is no whole number of pixels (ISO/IEC 14496-12, 12.1.4)."""
    with suppress(struct.error, ZeroDivisionError):
        numbers = struct.unpack_from(">IIIIiIiI", data, at)
        width, height, right, down = (Fraction(*numbers[at : at + 2]) for at in (0, 2, 4, 6))
        is_within = 0 < width <= whole[0] and 0 < height <= whole[1]
        is_at_corner = (2 * right, 2 * down) == (width - whole[0], height - whole[1])
        is_of_pixels = width.denominator == height.denominator == 1
        if is_within and is_at_corner and is_of_pixels:
            return int(width), int(height)
    return None


def visible(image: Image.Image) -> Image.Image:
    """The part of a loaded `image` that is shown. The decoder of HEIC cuts it out itself."""
    return image.crop((0, 0, *image.info["clap"])) if "clap" in image.info else image


def name(image: ImageFile.ImageFile) -> str:
    """The format's name: JPEG, PNG, GIF, WEBP, BMP, TIFF, AVIF or HEIC."""
    # A JPEG with a second picture behind the first (a phone's depth map) opens as "MPO".
    return {"MPO": "JPEG", "HEIF": "HEIC", "DIB": "BMP"}.get(str(image.format), str(image.format))


def _is_known(head: bytes) -> bool:
    starts = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    return head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _is_heic(head: bytes) -> bool:
    """Whether an ISO base media file is HEIC: `mif1` and `msf1` are AVIF's main brands too."""
    if not head.startswith(b"ftyp", 4) or head[8:12] not in _HEIC_BRANDS:
        return False
    brands = head[16 : min(len(head), int.from_bytes(head[:4], "big"))]
    return b"avif" not in brands and b"avis" not in brands


def _open_heic(stream: BinaryIO) -> ImageFile.ImageFile:
    # Opened by its class: registering it would change what every Image.open in the process reads.
    import pillow_heif

    image: ImageFile.ImageFile = pillow_heif.HeifImageFile(stream)  # type: ignore[no-untyped-call]
    return image
