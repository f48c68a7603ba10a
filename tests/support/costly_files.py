"""Files that cost much more than their size justifies, by name: for the bounds of time and memory.

Each is a kind of attack: metadata without end, headers that lie, streams that expand, scans that
repeat. Whether one is accepted does not matter; what it costs does.
"""

import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Final

from PIL import Image

from tests.support import image_factories

_EXIF: Final = b"Exif\0\0"


def jpeg_of_scans(scans: int, side: int = 8000, *, components: int = 1) -> bytes:
    """A progressive JPEG of `side`² pixels whose scans are empty."""
    frame = bytes((8, *divmod(side, 256), *divmod(side, 256), components))
    frame += b"".join(bytes((index + 1, 0x11, 0)) for index in range(components))
    table = b"\0" + bytes(15) + b"\1" + b"\0"  # one code of 16 bits
    parts = [_segment(0xDB, b"\0" + b"\1" * 64), _segment(0xC2, frame)]
    parts += [_segment(0xC4, table), _segment(0xC4, b"\x10" + table[1:])]
    for index in range(scans):
        component = bytes((1, index % components + 1, 0))
        spectrum = b"\0\0\0" if index < components else b"\1\x3f\0"
        parts.append(_segment(0xDA, component + spectrum))
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


def jpeg_of_size(width: int, height: int, **options: object) -> bytes:
    """A JPEG whose header claims a size, with the data of a small one."""
    return image_factories.lying_jpeg(image_factories.faceless(64, 64), width, height, **options)


def jpeg_of_noise(width: int, height: int, size: int) -> bytes:
    """`size` bytes of entropy-coded data."""
    small = jpeg_of_size(width, height)
    start = small.index(b"\xff\xda") + 14
    return small[:start] + b"\x5a\xa5\x3c\xc3" * (size // 4) + b"\xff\xd9"


def jpeg_with(*segments: bytes) -> bytes:
    small = image_factories.encoded(image_factories.faceless(64, 64))
    return small[:2] + b"".join(segments) + small[2:]


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of 8 × 8 pixels with further chunks before its pixels."""
    png = image_factories.encoded(image_factories.faceless(8, 8), "PNG")
    return png[:33] + b"".join(image_factories._chunk(*each) for each in chunks) + png[33:]


def png_of_size(
    width: int, height: int, *, bits: int = 8, colour: int = 2, interlaced: bool = False
) -> bytes:
    """A whole PNG of zeros."""
    row_bytes = 1 + -(-width * bits * {0: 1, 2: 3, 3: 1, 6: 4}[colour] // 8)
    packer = zlib.compressobj(1)
    pixels, left = [], row_bytes * height + (16 * height if interlaced else 0)
    while left > 0:
        pixels.append(packer.compress(bytes(min(left, 1 << 20))))
        left -= 1 << 20
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"PLTE", b"\0\0\0")][: 2 if colour == 3 else 1]
    chunks += [(b"IDAT", b"".join(pixels) + packer.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(image_factories._chunk(*each) for each in chunks)


def png_that_inflates(megabytes: int) -> bytes:
    """A black PNG of 8 × 8 pixels; its stream goes on with zeros, a kilobyte for each megabyte."""
    packer = zlib.compressobj(9)
    first = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    more = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", first + more * megabytes), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(image_factories._chunk(*each) for each in chunks)


def jpeg_of_restarts(count: int) -> bytes:
    """A grey JPEG in whose scan restart markers follow each other."""
    grey = image_factories.encoded(Image.new("RGB", (3000, 3000), "#808080"))
    return grey[:-2] + b"\xff\xd0" * count + grey[-2:]


def gif_with_comments(count: int) -> bytes:
    gif = image_factories.encoded(image_factories.faceless(8, 8), "GIF")
    start = gif.index(b",", 13 + 3 * (2 << (gif[10] & 7)))
    return gif[:start] + b"!\xfe" + b"\1x" * count + b"\0" + gif[start:]


def gif_of_size(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    picture = struct.pack("<BHHHHB", 0x2C, 0, 0, width, height, 0)
    return b"GIF89a" + screen + picture + b"\x08" + b"\xff" + b"\1\2" * 127 + b"\0\0" + b"\0;"


def gif_of_frames(count: int) -> bytes:
    frame = struct.pack("<BHHHHB", 0x2C, 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * count + b";"


def webp_of_size(width: int, height: int, *, frames: int = 1) -> bytes:
    """A whole lossless WebP of one colour: its five prefix codes have one symbol, of no bits."""
    bits = (width - 1) | (height - 1) << 14
    codes = sum(0b0001 << 4 * index for index in range(5))
    stream = b"\x2f" + struct.pack("<I", bits) + (codes << 3).to_bytes(4, "little")
    image = _riff(b"VP8L", stream)
    if frames > 1:
        sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        one = _riff(b"ANMF", bytes(6) + sizes + b"\x64\0\0\0" + image)
        image = _riff(b"VP8X", b"\2\0\0\0" + sizes) + _riff(b"ANIM", bytes(6)) + one * frames
    return b"RIFF" + struct.pack("<I", 4 + len(image)) + b"WEBP" + image


def webp_with_exif(exif: bytes) -> bytes:
    image = webp_of_size(64, 64)[12:]
    extended = _riff(b"VP8X", b"\x08\0\0\0" + b"\x3f\0\0" * 2) + image + _riff(b"EXIF", exif)
    return b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended


def bmp(width: int, height: int, bits: int, pixels: bytes, *, compression: int = 0) -> bytes:
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(pixels), 0, 0, 256, 0
    )
    start = 54 + 1024
    return (
        b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + bytes(1024) + pixels
    )


def tiff(entries: list[tuple[int, int, int, bytes]], *, data: bytes = b"") -> bytes:
    """One directory behind `data`, which begins at byte 8."""
    table, behind = b"", b""
    start = 8 + len(data) + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in sorted(entries):
        if len(value) > 4:
            value, behind = struct.pack("<I", start + len(behind)), behind + value
        table += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
    return (
        b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries))
    ) + (table + bytes(4) + behind)


def tiff_of_one_tile(side: int, tile: int) -> bytes:
    """`side`² pixels of grey in one deflated tile of `tile`²."""
    packer = zlib.compressobj(9)
    pixels = b"".join(packer.compress(bytes(tile)) for _ in range(tile)) + packer.flush()
    return tiff(
        [_long(256, side), _long(257, side), _short(258, 8), _short(259, 8), _short(262, 1)]
        + [_short(277, 1), _long(322, tile), _long(323, tile)]
        + [_long(324, 8), _long(325, len(pixels))],
        data=pixels,
    )


def tiff_of_one_strip(width: int, height: int, pixels: bytes, compression: int) -> bytes:
    return tiff(
        [_long(256, width), _long(257, height), _short(258, 8), _short(259, compression)]
        + [_short(262, 1), _long(273, 8), _short(277, 1), _long(278, height)]
        + [_long(279, len(pixels))],
        data=pixels,
    )


def tags(count: int, each: int, *, head: bytes = b"") -> bytes:
    """A TIFF structure of `count` tags that share the same `each` bytes."""
    table = b"".join(struct.pack("<HHII", 1 + tag, 1, each, 8) for tag in range(count))
    return (head + b"II*\0" + struct.pack("<IH", 8, count) + table).ljust(each + 16, b"\0")


@cache
def isobmff_that_lies(format: str, side: int, claimed: int) -> bytes:
    """AVIF or HEIC of `side`² pixels whose property `ispe` says `claimed`²."""
    honest = struct.pack(">II", side, side)
    return _black(format, side).replace(honest, struct.pack(">II", claimed, claimed))


@cache
def _black(format: str, side: int) -> bytes:
    options = {"speed": 10, "quality": 10} if format == "AVIF" else {"quality": 10}
    return image_factories.encoded(Image.new("RGB", (side, side)), format, **options)


@cache
def table() -> dict[str, Callable[[], bytes]]:
    """A builder of each file, by its name."""
    comment = _segment(0xFE, b"")
    exif = _segment(0xE1, tags(5000, 60_000, head=_EXIF))
    mpf = _segment(0xE2, tags(5000, 60_000, head=b"MPF\0"))
    photoshop = _segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5000)
    text = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20)))
    profile = (
        b"zTXt",
        b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n9\n" + b"00" * 400_000),
    )
    huge = zlib.compress(bytes(70 << 20))
    return {
        "jpeg: 700 empty scans": lambda: jpeg_of_scans(700),
        "jpeg: 40 empty scans": lambda: jpeg_of_scans(40),
        "jpeg: 60 scans of 3 components, 11000²": lambda: jpeg_of_scans(60, 11_000, components=3),
        "jpeg: 7 scans of 3 components, 10900²": lambda: jpeg_of_scans(7, 10_900, components=3),
        "jpeg: 7 scans of 9400²": lambda: jpeg_of_scans(7, 9_400, components=3),
        "jpeg: 5 MB of fill bytes": lambda: jpeg_with(b"\xff" * (5 << 20)),
        "jpeg: a million comments": lambda: jpeg_with(comment * 1_000_000),
        "jpeg: 300 EXIF segments": lambda: jpeg_with(exif * 300),
        "jpeg: one EXIF of 5000 tags": lambda: jpeg_with(exif),
        "jpeg: 300 MPF segments": lambda: jpeg_with(mpf * 300),
        "jpeg: 500 Photoshop segments": lambda: jpeg_with(photoshop * 500),
        "jpeg: 20 million restarts": lambda: jpeg_of_restarts(20_000_000),
        "jpeg: 90 MB behind its end": lambda: jpeg_with() + bytes(90 << 20),
        "jpeg: 119 megapixels, no data": lambda: jpeg_of_size(10_900, 10_900),
        "jpeg: 119 megapixels, progressive": lambda: jpeg_of_size(10_900, 10_900, progressive=True),
        "jpeg: 119 megapixels, 90 MB": lambda: jpeg_of_noise(10_900, 10_900, 90 << 20),
        "png: 2 million chunks": lambda: png_with(*[(b"teSt", b"")] * 2_000_000),
        "png: 40 GB behind its pixels": lambda: png_that_inflates(40_000),
        "png: 60 texts that expand": lambda: png_with(*[text] * 60),
        "png: a text of 70 MB": lambda: png_with((b"zTXt", b"Comment\0\0" + huge)),
        "png: a profile of 70 MB": lambda: png_with((b"iCCP", b"x\0\0" + huge)),
        "png: EXIF as text": lambda: png_with(profile),
        "png: EXIF of 5000 tags": lambda: png_with((b"eXIf", tags(5000, 60_000))),
        "png: 118 megapixels": lambda: png_of_size(16_000, 7_400),
        "png: 118 megapixels, a line": lambda: png_of_size(1_000_000, 118, bits=1, colour=0),
        "png: 60 megapixels, 16 bits, alpha": lambda: png_of_size(10_000, 6_000, bits=16, colour=6),
        "png: 118 megapixels, alpha": lambda: png_of_size(16_000, 7_400, colour=6),
        "png: 118 megapixels, 16 bits": lambda: png_of_size(16_000, 7_400, bits=16, colour=0),
        "png: 49 megapixels, interlaced": lambda: png_of_size(7_000, 7_000, interlaced=True),
        "gif: 10 million comments": lambda: gif_with_comments(10_000_000),
        "gif: 65535 × 1800": lambda: gif_of_size(65_535, 1_800),
        "gif: a million frames": lambda: gif_of_frames(1_000_000),
        "webp: 16000 × 7400": lambda: webp_of_size(16_000, 7_400),
        "webp: 15.9 megapixels": lambda: webp_of_size(4_000, 3_975),
        "webp: 55 megapixels": lambda: webp_of_size(11_000, 5_000),
        "webp: 20000 frames": lambda: webp_of_size(4_000, 4_000, frames=20_000),
        "webp: EXIF of 5000 tags": lambda: webp_with_exif(tags(5000, 60_000)),
        "bmp: 4 million runs": lambda: bmp(4000, 4000, 8, b"\1\0" * 4_000_000, compression=1),
        "bmp: jumps": lambda: bmp(10_900, 10_900, 8, b"\0\2\xff\xff" * 500_000, compression=1),
        "bmp: 119 megapixels of bits": lambda: bmp(10_900, 10_900, 1, bytes(1364 * 10_900)),
        "tiff: a tile of 20000²": lambda: tiff_of_one_tile(16, 20_000),
        "tiff: a strip of 119 megapixels": lambda: tiff_of_one_strip(
            10_900, 10_900, zlib.compress(bytes(10_900 * 10_900), 1), 8
        ),
        "tiff: a progressive jpeg in it": lambda: tiff_of_one_strip(
            8_000, 8_000, jpeg_of_scans(700), 7
        ),
        "tiff: 60000 tags": lambda: tags(60_000, 800_000),
        "avif: 16² that is 8000²": lambda: isobmff_that_lies("AVIF", 8_000, 16),
        "avif: 8000²": lambda: isobmff_that_lies("AVIF", 8_000, 8_000),
        "heic: 64² that is 4000²": lambda: isobmff_that_lies("HEIC", 4_000, 64),
    }


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def _riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _long(tag: int, value: int) -> tuple[int, int, int, bytes]:
    return tag, 4, 1, struct.pack("<I", value)


def _short(tag: int, value: int) -> tuple[int, int, int, bytes]:
    return tag, 3, 1, struct.pack("<HH", value, 0)
