"""The image format by its first bytes. Only decoding shows whether the image is whole."""

from typing import Final

HEAD_BYTES: Final = 32
"""The first bytes that decide."""

_STARTS: Final = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)

# ISO base media files (ISO 14496-12) name their kind in the box `ftyp`: ISO 23008-12 and AV1's.
_HEIF_BRANDS: Final = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs mif1 msf1 avif avis".split()
)

# Two letters are not much of a signature, so the size of the header behind them counts too.
_BMP_HEADER_SIZES: Final = frozenset((12, 16, 40, 52, 56, 64, 108, 124))


def image_format(head: bytes) -> str | None:
    """`jpeg`, `png`, `gif`, `webp`, `bmp`, `tiff`, `heif`, `avif`, or None for anything else."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "avif" if b"avi" in head[8:HEAD_BYTES] else "heif"
    return None
