"""Small builders of test images, composed from the real faces of `tests/support/photographs.py`.

Builders return a Pillow image in mode RGB, or the bytes of a file where the file is the point.
Nothing here imports the engine, and everything is deterministic.
"""

import math
import struct
import zlib
from functools import cache
from io import BytesIO

from PIL import Image, ImageDraw

from tests.support import photographs

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC")
"""Every format that the engine reads."""

ORIENTATIONS = tuple(range(1, 9))
"""Every value of the EXIF tag Orientation."""

_ORIENTATION_TAG = 0x0112

# How an upright picture is stored under each orientation: the inverse of what a viewer does.
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


# --- pictures with faces, and without


@cache
def _portrait(name: str, width: int | None) -> Image.Image:
    with Image.open(photographs.path(name)) as photo:
        image = photo.convert("RGB")
    if width is None:
        return image
    return image.resize(
        (width, round(image.height * width / image.width)), Image.Resampling.LANCZOS
    )


def portrait(name: str = "obama.jpg", width: int | None = None) -> Image.Image:
    """One person, one face; scaled to `width` pixels if given (300 is plenty for the detector)."""
    return _portrait(name, width).copy()


def side_by_side(*names: str, width: int | None = None) -> Image.Image:
    """People next to each other in the given order, each `width` pixels wide; default: two."""
    people = [portrait(name, width) for name in names or ("obama.jpg", "biden.jpg")]
    size = (sum(each.width for each in people), max(each.height for each in people))
    together = Image.new("RGB", size, "white")
    left = 0
    for each in people:
        together.paste(each, (left, 0))
        left += each.width
    return together


def crowd(columns: int = 10, rows: int = 6, *, width: int = 120) -> Image.Image:
    """`columns` × `rows` faces in a grid, alternately of two people."""
    people = [_head(name).resize((width, width)) for name in ("obama.jpg", "biden.jpg")]
    together = Image.new("RGB", (columns * width, rows * width))
    for index in range(columns * rows):
        row, column = divmod(index, columns)
        together.paste(people[index % 2], (column * width, row * width))
    return together


@cache
def _head(name: str) -> Image.Image:
    """A square round the one face of a photograph; the boxes were read off the photographs."""
    left, top, side = {"obama.jpg": (270, 20, 440), "biden.jpg": (318, 82, 540)}[name]
    return _portrait(name, None).crop((left, top, left + side, top + side))


def faceless(width: int = 320, height: int = 240) -> Image.Image:
    """A smooth pattern in which there is no face."""
    across = Image.linear_gradient("L").resize((width, height))
    down = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.new("L", (width, height), 96)))


def canvas(width: int, height: int, *names: str, share: float = 0.6) -> Image.Image:
    """A picture of exactly `width` × `height` pixels with a row of people, `share` of its height.

    A person too wide for their part of the row is made smaller. Default: two people.
    """
    names = names or ("obama.jpg", "biden.jpg")
    room = width // len(names)
    scene = faceless(width, height)
    for index, name in enumerate(names):
        person = _portrait(name, None)
        scale = min(height * share / person.height, room / person.width)
        size = (max(1, int(person.width * scale)), max(1, int(person.height * scale)))
        place = (index * room + (room - size[0]) // 2, height - size[1])
        scene.paste(person.resize(size, Image.Resampling.BICUBIC), place)
    return scene


def twelve_megapixels() -> Image.Image:
    """A phone photo's size, 4032 × 3024, with two people."""
    return canvas(4032, 3024)


def cut_at_the_border(name: str = "obama.jpg") -> Image.Image:
    """A face whose one half lies outside the picture."""
    person = _portrait(name, None)
    return person.crop((person.width // 2 + 20, 0, person.width, person.height))


# --- files


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    """`image` as a file in one of FORMATS; `options` are those of Pillow's `save`."""
    if format == "HEIC":
        return _heic(image, **options)
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def _heic(image: Image.Image, **options: object) -> bytes:
    import pillow_heif

    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, **options)
    return file.getvalue()


def oriented(
    image: Image.Image, orientation: int, format: str = "JPEG", **options: object
) -> bytes:
    """A file that shows `image` upright in a viewer, its pixels stored under `orientation`."""
    stored = image.transpose(_STORED[orientation]) if orientation in _STORED else image
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    return encoded(stored, format, exif=exif.tobytes(), **options)


def cropped(
    image: Image.Image, format: str, size: tuple[int, int], left: int = 0, top: int = 0
) -> bytes:
    """AVIF or HEIC of `image` whose property `clap` says which part of it is to be shown.

    It takes the place of a colour profile (ISO/IEC 14496-12, 12.1.4).
    """
    place = struct.pack(">I4s4s", 40, b"colr", b"prof") + b"p" * 28
    data = bytearray(encoded(image, format, icc_profile=place[12:]))
    start = data.index(place)
    data[start : start + 40] = struct.pack(
        ">I4sIIIIiIiI",
        *(40, b"clap", size[0], 1, size[1], 1),
        *(2 * left + size[0] - image.width, 2, 2 * top + size[1] - image.height, 2),
    )
    at, number = data.index(b"ipco") + 4, 1
    while at < start:
        at, number = at + int.from_bytes(data[at : at + 4], "big"), number + 1
    association = data.index(number, data.index(b"ipma") + 15)
    data[association] |= 0x80  # a reader has to know it
    return bytes(data)


def animated(frames: list[Image.Image], format: str = "GIF") -> bytes:
    """A moving image; `format` is GIF, WEBP, PNG or AVIF."""
    options = {"save_all": True, "append_images": frames[1:], "duration": 100}
    return encoded(frames[0], format, **options)


def layouts(image: Image.Image) -> dict[str, bytes]:
    """`image` in every pixel layout a file can have, by name; all show (about) the same grey."""
    grey = image.convert("L")
    deep = grey.point([value * 257 for value in range(256)], "I").convert("I;16")
    opaque = image.convert("RGBA")
    few = image.quantize(64)
    return {
        "greyscale": encoded(grey, "PNG"),
        "greyscale jpeg": encoded(grey, "JPEG"),
        "greyscale with alpha": encoded(opaque.convert("LA"), "PNG"),
        "16 bits": encoded(deep, "PNG"),
        "16 bits tiff": encoded(deep, "TIFF"),
        "float": encoded(grey.convert("F"), "TIFF"),
        "alpha": encoded(opaque, "PNG"),
        "palette": encoded(few, "PNG"),
        "palette with transparency": encoded(few, "PNG", transparency=255),
        "cmyk": encoded(image.convert("CMYK"), "JPEG", quality=95),
        "cmyk tiff": encoded(image.convert("CMYK"), "TIFF"),
        "ycbcr tiff": encoded(image.convert("YCbCr"), "TIFF"),
        "one bit": encoded(image.convert("1"), "PNG"),
    }


# --- files that are to be refused


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims `width` × `height` pixels of RGB and holds one row of black at most."""
    pixels = zlib.compress(bytes(1 + 3 * min(width, 4096)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def bomb(width: int = 40_000, height: int = 40_000) -> bytes:
    """A whole, valid PNG of a few hundred kilobytes at most that decodes to gigabytes of zeros."""
    packer = zlib.compressobj(9)
    row = bytes(1 + math.ceil(width / 8))
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def lying_jpeg(image: Image.Image, width: int, height: int, **options: object) -> bytes:
    """`image` as JPEG whose header claims `width` × `height` pixels."""
    data = bytearray(encoded(image, "JPEG", **options))
    # Start of frame, baseline or progressive: length(2) precision(1) height(2) width(2).
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def lying_png(image: Image.Image, width: int, height: int) -> bytes:
    """`image` as PNG whose header, checksum included, claims `width` × `height` pixels."""
    data = encoded(image, "PNG")
    header = struct.pack(">II", width, height) + data[24:29]
    return data[:8] + _chunk(b"IHDR", header) + data[33:]


def truncations(data: bytes, count: int = 12) -> list[bytes]:
    """`data` cut short at `count` lengths, from one byte to all but the last of its pixels."""
    length = len(data) - 1 - sum(size for start, size in _BEHIND if data.startswith(start))
    return [data[: max(1, length * part // count)] for part in range(1, count + 1)]


_BEHIND = ((b"\xff\xd8", 7), (b"\x89PNG", 24), (b"GIF8", 2))
"""Bytes behind the pixels of a format: checksums, the mark of the end, the last block's filling."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def labelled(text: str, width: int = 320, height: int = 240) -> Image.Image:
    """A faceless picture that differs with `text`, for tests that need many different files."""
    image = faceless(width, height)
    ImageDraw.Draw(image).text((8, 8), text, fill="white")
    return image
