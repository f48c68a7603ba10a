"""Files that are mistaken for images of the accepted formats, so that a refusal can name them."""

import re

from faceengine.errors import ImageError, Problem

_IMAGES = (
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"II\xbc\x01", "a JPEG XR image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance image"),
    (b"gimp xcf ", "a GIMP document"),
    (b"qoif", "a QOI image"),
    (b"BPG\xfb", "a BPG image"),
    (b"DDS ", "a DirectDraw texture"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1a\x45\xdf\xa3", "a video"),
)
_SVG = re.compile(
    rb"(\xef\xbb\xbf)?\s*+(<\?xml[^>]*+>\s*+|<!--(?:(?!-->).)*+-->\s*+)*+<svg\b", re.IGNORECASE
)
"""Possessive, and a comment ends at its first `-->`: no text takes more steps than characters."""

_STILL = re.compile(rb"mif\d|msf\d|miaf|avc[is]|j2k[iS]|jpe[gm]|vvi[cs]|evbi|MA1[AB]")
"""Brands of HEIF (ISO/IEC 23008-12, annexes B to H) whose pictures are coded otherwise."""
_AVIF = frozenset({b"avif", b"avis"})


def refuse(head: bytes) -> None:
    """Raise `ImageError` for a file that begins with `head`, if it is of a known other format."""
    for table, reason in ((_IMAGES, Problem.UNSUPPORTED_IMAGE), (_OTHERS, Problem.UNSUPPORTED)):
        for start, what in table:
            if head.startswith(start):
                raise _refusal(reason, what)
    if _SVG.match(head):
        raise _refusal(Problem.UNSUPPORTED, "an SVG drawing")
    if head[4:8] == b"ftyp":
        _refuse_media(head)


def _refuse_media(head: bytes) -> None:
    """Of the ISO base media files AVIF alone passes: HEIC is known before."""
    brands = {head[at : at + 4] for at in (8, *range(16, len(head), 4))}
    if brands & _AVIF:
        return
    if any(_STILL.match(brand) for brand in brands):
        raise _refusal(Problem.UNSUPPORTED_IMAGE, "a HEIF image of another kind than HEIC")
    raise _refusal(Problem.UNSUPPORTED, "a video")


def _refusal(reason: Problem, what: str) -> ImageError:
    return ImageError(reason, f"The file is {what}, which is not among the supported formats.")
