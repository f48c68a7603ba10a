"""Files that are to be refused, by name: what lies, breaks off, explodes or is no image at all."""

import io
import struct
import zipfile
import zlib
from functools import cache

from tests.support import image_factories

_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
_HTML = b"<!doctype html><html><script>alert(1)</script></html>"
_EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif"}


@cache
def table() -> dict[str, tuple[str, bytes]]:
    """Name of the row → file name and bytes. Each has an allowed extension."""
    return {**_no_images(), **_polyglots(), **_truncated(), **_bombs(), **_broken()}


def extension(format: str) -> str:
    """The usual extension of a format's files."""
    return _EXTENSIONS.get(format, format.lower())


@cache
def small(format: str) -> bytes:
    """A small picture in `format`."""
    return image_factories.encoded(image_factories.faceless(160, 120), format)


def _no_images() -> dict[str, tuple[str, bytes]]:
    return {
        "one byte": ("a.jpg", b"\xff"),
        "text": ("a.jpg", b"I am a picture, believe me.\n" * 50),
        "html": ("a.png", _HTML),
        "svg": ("a.png", _SVG),
        "svg with a declaration": ("a.gif", b'<?xml version="1.0"?>' + _SVG),
        "zeros": ("a.bmp", bytes(100_000)),
        "noise": ("a.webp", bytes(range(256)) * 400),
        "pdf": ("a.jpg", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n"),
        "postscript": ("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
        "elf": ("a.jpg", b"\x7fELF\x02\x01\x01" + bytes(200)),
        "php": ("a.gif", b"<?php system($_GET['c']); ?>"),
        "mp4": ("a.heic", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(99)),
        "heic in name alone": ("a.heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"),
        "avif in name alone": ("a.avif", b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif"),
    }


def _polyglots() -> dict[str, tuple[str, bytes]]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("image.jpg", small("JPEG"))
    return {
        "gif head, then html": ("a.gif", b"GIF89a" + _HTML),
        "gif head, then javascript": ("a.gif", b"GIF89a=1;alert(document.cookie);//"),
        "jpeg head, then php": ("a.jpg", b"\xff\xd8\xff\xe0<?php system('id'); ?>"),
        "png head, then text": ("a.png", b"\x89PNG\r\n\x1a\nnothing more"),
        "pdf round a jpeg": ("a.jpg", b"%PDF-1.7\n" + small("JPEG") + b"\n%%EOF"),
        "zip with a jpeg": ("a.jpg", archive.getvalue()),
        "html before a png": ("a.png", _HTML + small("PNG")),
        "bmp head, then a script": ("a.bmp", b"BM=1;alert(1)//" + bytes(60)),
    }


def _truncated() -> dict[str, tuple[str, bytes]]:
    return {
        f"{format} cut to {len(part)} bytes": (f"a.{extension(format)}", part)
        for format in image_factories.FORMATS
        for part in image_factories.truncations(small(format), 6)
    }


def _bombs() -> dict[str, tuple[str, bytes]]:
    return {
        "png of 1.6 gigapixels of zeros": ("a.png", image_factories.bomb(40_000, 40_000)),
        "png header of 2^31 pixels": ("a.png", image_factories.png_header(2**31 - 1, 2**31 - 1)),
        "png one pixel high": ("a.png", image_factories.png_header(2**31 - 1, 1)),
        "png with a text that explodes": ("a.png", _png_with_text(zlib.compress(bytes(70 << 20)))),
        "gif of 65535 x 65535": ("a.gif", _gif(65535, 65535)),
        "bmp of 2^31 pixels": ("a.bmp", _bmp(2**31 - 1, 2**31 - 1)),
        "tiff of 2^32 pixels": ("a.tif", _tiff(2**32 - 1, 2**32 - 1)),
        "tiff of 20000 x 20000": ("a.tiff", _tiff(20_000, 20_000)),
        "webp of 16383 x 16383": ("a.webp", _webp(16_383, 16_383)),
        "jpeg of 65500 x 65500": (
            "a.jpg",
            image_factories.lying_jpeg(image_factories.faceless(64, 64), 65_500, 65_500),
        ),
    }


def _broken() -> dict[str, tuple[str, bytes]]:
    picture = image_factories.faceless(160, 120)
    png = small("PNG")
    return {
        "png whose header lies": ("a.png", image_factories.lying_png(picture, 4000, 3000)),
        "jpeg whose header lies": ("a.jpg", image_factories.lying_jpeg(picture, 4000, 3000)),
        "png without pixels": ("a.png", image_factories.png_header(0, 0)),
        "png with a wrong checksum": ("a.png", _flipped(png, 29)),
        "png with a broken stream": ("a.png", _flipped(png, len(png) // 2)),
        "gif without pixels": ("a.gif", _gif(0, 0)),
        "tiff that points to itself": ("a.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
        "jpeg of markers alone": ("a.jpg", b"\xff\xd8" + b"\xff\xff" * 500 + b"\xff\xd9"),
        "jpeg without a picture": ("a.jpg", b"\xff\xd8\xff\xd9"),
    }


def _flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def _png_with_text(compressed: bytes) -> bytes:
    """A PNG of 8 × 8 pixels whose comment decompresses to much more than its pixels."""
    png = image_factories.encoded(image_factories.faceless(8, 8), "PNG")
    body = b"zTXt" + b"Comment\0\0" + compressed
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


def _gif(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + b"\0\0\0\xff\xff\xff"
    picture = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\0;"
    return b"GIF89a" + screen + picture


def _bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 300, 0, 0, 54) + info + bytes(300)


def _tiff(width: int, height: int) -> bytes:
    """One strip that ends long before the picture does."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 200), (277, 3, 1), (278, 4, height), (279, 4, 300)]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    return head + bytes(600 - len(head))


def _webp(width: int, height: int) -> bytes:
    """The header of a lossless picture, with next to nothing behind it."""
    bits = (width - 1) | (height - 1) << 14
    stream = b"\x2f" + struct.pack("<I", bits) + bytes(64)
    chunk = b"VP8L" + struct.pack("<I", len(stream)) + stream + b"\0" * (len(stream) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
