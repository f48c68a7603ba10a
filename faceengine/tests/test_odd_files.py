"""Odd kinds of each format: taken with the right colours where browsers show them, else named."""

import io
import os
import struct
import unittest
import zlib
from collections.abc import Callable

from PIL import Image, ImageCms

import faceengine
from faceengine import ImageError, Problem
from faceengine.imaging.decode import load_reduced
from faceengine.tests.test_hostile import reason
from faceengine.tests.test_images import difference
from tests.support import costly_files, image_factories
from tests.support.image_factories import encoded


def _portrait() -> Image.Image:
    picture = image_factories.portrait(width=80)
    picture.info.clear()
    return picture


class PngTests(unittest.TestCase):
    """Notes that Pillow refuses and browsers ignore, before the pixels and behind them."""

    def test_odd_notes_harm_nothing(self) -> None:
        picture = _portrait()
        png = encoded(picture, "PNG")
        for name, chunks in _ODD_NOTES.items():
            for place in (33, len(png) - 12):
                with self.subTest(name, place=place):
                    data = png[:place] + chunks + png[place:]
                    self.assertIsNone(reason(data))
                    self.assertEqual(difference(faceengine.load_image(data), picture), 0)

    def test_a_critical_chunk_that_is_damaged_is_not_ignored(self) -> None:
        png = encoded(_portrait(), "PNG")
        self.assertIsNotNone(reason(png[:29] + bytes(4) + png[33:]))
        self.assertIsNotNone(reason(png[:33] + struct.pack(">I", 0x7FFFFFFF) + b"teSt" + png[33:]))

    def test_an_interlaced_one_that_lacks_a_byte_is_refused(self) -> None:
        for width, height in ((75, 50), (1, 9), (3, 1)):
            rows = sum(
                len(range(top, height, down)) * (3 * columns + 1)
                for left, top, across, down in _PASSES
                if (columns := len(range(left, width, across)))
            )
            for missing, expected in ((0, None), (1, Problem.TRUNCATED)):
                with self.subTest(width=width, height=height, missing=missing):
                    self.assertEqual(reason(_interlaced(width, height, rows - missing)), expected)

    def test_the_mark_of_the_end_may_be_damaged_or_missing(self) -> None:
        picture = _portrait()
        png = encoded(picture, "PNG")
        for end in (b"\1\2\3\4", b"\1\2\3", b""):
            self.assertIsNone(reason(png[:-4] + end))
        whole = costly_files.png_of_size(75, 75, interlaced=True)
        for data in (png, whole):
            for cut in (12, 13, 16, 20):  # the mark, and the checksums of the pixels
                with self.subTest(cut=cut, size=len(data)):
                    self.assertIsNone(reason(data[:-cut]))
        self.assertEqual(difference(faceengine.load_image(png[:-20]), picture), 0)
        self.assertEqual(reason(png[:-26]), Problem.TRUNCATED)

    def test_a_large_profile_is_applied_and_one_beyond_all_bounds_ignored(self) -> None:
        picture = _portrait()
        swapped = Image.merge("RGB", picture.split()[::-1])
        profile = _profile_of_tables("RGB ", lambda r, g, b: (b, g, r))
        for size, expected in ((2 << 20, picture), (9 << 20, swapped)):
            padded = profile + os.urandom(size)
            for format in ("PNG", "TIFF"):
                with self.subTest(format, size=size):
                    data = encoded(swapped, format, icc_profile=padded)
                    self.assertIsNone(reason(data))
                    self.assertLess(difference(faceengine.load_image(data), expected), 12)

    def test_all_depths_and_kinds_of_colour(self) -> None:
        picture = _portrait()
        grey = picture.convert("L")
        deep = {2: picture, 6: picture.convert("RGBA"), 0: grey, 4: grey.convert("LA")}
        for colour, image in deep.items():
            wide = b"".join(bytes((each, each)) for each in image.tobytes())
            for transparent in (b"", struct.pack(">HHH", 1, 2, 3)[: 2 if colour == 0 else 6]):
                with self.subTest(colour, transparent=transparent):
                    notes = _chunk(b"tRNS", transparent) if transparent and colour < 3 else b""
                    data = _png(image.size, 16, colour, wide, notes)
                    self.assertIsNone(reason(data))
                    shown = faceengine.load_image(data)
                    self.assertLess(difference(shown, image.convert("RGB")), 0.1)


_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Of an interlaced PNG (specification, 8.2): first column and row, columns and rows further on."""


def _interlaced(width: int, height: int, length: int) -> bytes:
    """A black PNG of RGB whose stream has so many bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    packed = _chunk(b"IDAT", zlib.compress(bytes(length))) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + packed


def _chunk(kind: bytes, content: bytes, *, damaged: bool = False) -> bytes:
    checksum = 0 if damaged else zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _png(size: tuple[int, int], bits: int, colour: int, pixels: bytes, notes: bytes) -> bytes:
    row = len(pixels) // size[1]
    rows = (b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row))
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    packed = _chunk(b"IDAT", zlib.compress(b"".join(rows))) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + notes + packed


_ODD_NOTES = {
    "a damaged text": _chunk(b"tEXt", b"Comment\0x", damaged=True),
    "a text that is not compressed": _chunk(b"zTXt", b"a\0\0garbage"),
    "a text of another method": _chunk(b"zTXt", b"a\0\x09x"),
    "a text in no UTF-8": _chunk(b"iTXt", b"a\0\0\0\0\0\xff\xfe"),
    "a text without a keyword": _chunk(b"tEXt", b"abc"),
    "an empty profile": _chunk(b"iCCP", b""),
    "a damaged profile": _chunk(b"iCCP", b"a\0\0zzz"),
    "a profile of 70 MB": _chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(70 << 20))),
    "no gamma": _chunk(b"gAMA", b""),
    "a short density": _chunk(b"pHYs", b"1"),
    "a short transparency": _chunk(b"tRNS", b"1"),
    "an empty rendering intent": _chunk(b"sRGB", b""),
    "short primaries": _chunk(b"cHRM", b"abc"),
    "EXIF that is none": _chunk(b"eXIf", b"garbage"),
    "a short animation": _chunk(b"acTL", b"a"),
    "an animation of no frames": _chunk(b"acTL", bytes(8)),
    "a frame of no animation": _chunk(b"fcTL", bytes(26)) + _chunk(b"fdAT", b""),
    "a name that is none": _chunk(b"a\1cd", b"x"),
    "an unknown note": _chunk(b"teSt", b"x" * 100),
}


class ProfileTests(unittest.TestCase):
    """Profiles of tables, as printers and scanners have them."""

    def test_tables_of_cmyk_are_applied(self) -> None:
        picture = _portrait()
        profile = _profile_of_tables("CMYK", lambda *ink: _of_ink(ink[1], ink[0], *ink[2:]))
        red, green, blue = picture.split()
        expected = Image.merge("RGB", (green, red, blue))
        for format in ("JPEG", "TIFF"):
            with self.subTest(format):
                data = encoded(picture.convert("CMYK"), format, icc_profile=profile)
                self.assertIsNone(reason(data))
                loaded = faceengine.load_image(data)
                self.assertLess(difference(loaded, expected), 25)
                self.assertLess(difference(loaded, expected), difference(loaded, picture))

    def test_a_broken_profile_of_any_kind_is_ignored(self) -> None:
        picture = _portrait()
        for kind, mode in (("CMYK", "CMYK"), ("RGB ", "RGB")):
            profile = bytearray(_profile_of_tables(kind, lambda r, g, b, *_: (b, g, r)))
            plain = faceengine.load_image(encoded(picture.convert(mode)))
            for damaged in (profile[:200], profile[:132] + bytes(500), b"\xff" * 5000):
                data = encoded(picture.convert(mode), icc_profile=bytes(damaged))
                self.assertIsNone(reason(data))
                self.assertEqual(difference(faceengine.load_image(data), plain), 0)

    def test_lab(self) -> None:
        picture = _portrait()
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
        assert converted is not None
        loaded = faceengine.load_image(encoded(converted, "TIFF"))
        self.assertLess(difference(loaded, picture), 3)


def _of_ink(cyan: float, magenta: float, yellow: float, key: float) -> tuple[float, ...]:
    return (1 - cyan) * (1 - key), (1 - magenta) * (1 - key), (1 - yellow) * (1 - key)


def _profile_of_tables(kind: str, to_rgb: Callable[..., tuple[float, ...]]) -> bytes:
    """A minimal profile (ICC.1:2001-04) with one table, lut8Type, of nine nodes an axis."""
    channels, nodes = len(kind.strip()), 3 if kind == "CMYK" else 9
    steps = [step / (nodes - 1) for step in range(nodes)]
    places: list[list[float]] = [[]]
    for _ in range(channels):
        places = [[*place, step] for place in places for step in steps]
    colours = bytes(round(255 * v) for place in places for v in to_rgb(*place))
    grid = Image.frombytes("RGB", (len(places), 1), colours)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    table = ImageCms.profileToProfile(grid, srgb, lab, outputMode="LAB")
    assert table is not None
    # Pillow keeps a and b signed, lut8Type with 128 added.
    lab8 = bytes(v if i % 3 == 0 else v ^ 0x80 for i, v in enumerate(table.tobytes()))
    same = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((channels, 3, nodes, 0))
    lut += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut += same * channels + lab8 + same * 3
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    tags = struct.pack(">I4sII4sII", 2, b"A2B0", 156, len(lut), b"wtpt", 156 + len(lut), 20)
    body = tags + lut + white
    size, name = 128 + len(body), kind.encode()
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02400000, b"prtr", name, b"Lab ", b"acsp")
    head += bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + body


class JpegTests(unittest.TestCase):
    def test_a_kind_that_no_browser_shows_is_named(self) -> None:
        data = encoded(_portrait())
        frame = data.index(b"\xff\xc0")
        for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF):
            with self.assertRaisesRegex(ImageError, "lossless or hierarchical JPEG") as caught:
                faceengine.check_image(data[: frame + 1] + bytes([marker]) + data[frame + 2 :])
            self.assertEqual(caught.exception.reason, Problem.UNSUPPORTED_IMAGE)
        deep = data[: frame + 4] + b"\x0c" + data[frame + 5 :]
        for call in (faceengine.check_image, faceengine.load_image, faceengine.find_faces):
            with self.assertRaisesRegex(ImageError, "JPEG of 12 bits a channel"):
                call(deep)

    def test_inks_with_adobes_transform_are_converted(self) -> None:
        picture = _portrait()
        ink = picture.convert("CMYK")
        inks = Image.merge("RGB", ink.split()[:3])
        turned = Image.merge(
            "CMYK",
            (*(_inverted(each) for each in inks.convert("YCbCr").split()), ink.getchannel("K")),
        )
        data = bytearray(encoded(turned, quality=95))
        data[data.index(b"Adobe") + 11] = 2  # YCCK
        self.assertIsNone(reason(bytes(data)))
        self.assertLess(difference(faceengine.load_image(bytes(data)), picture), 6)

    def test_of_several_pictures_the_first_counts_and_a_film_behind_harms_nothing(self) -> None:
        picture, file = _portrait(), io.BytesIO()
        picture.save(file, "MPO", save_all=True, append_images=[picture.rotate(180)], quality=95)
        film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + os.urandom(50_000)
        photo = encoded(picture, quality=95)
        for data in (
            file.getvalue(),
            photo + film,
            photo
            + b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data"
            + film
            + b"SEFH"
            + bytes(20)
            + b"SEFT",
        ):
            self.assertIsNone(reason(data))
            self.assertLess(difference(faceengine.load_image(data), picture), 6)


def _inverted(channel: Image.Image) -> Image.Image:
    return channel.point(lambda v: 255 - v)


class TiffTests(unittest.TestCase):
    def test_white_may_be_0_at_every_depth(self) -> None:
        grey = _portrait().convert("L")
        inverted = _inverted(grey).tobytes()
        deep = b"".join(bytes((each, each)) for each in inverted)
        for bits, pixels in ((8, inverted), (16, deep)):
            with self.subTest(bits):
                data = _grey_tiff(grey.size, bits, pixels, photometric=0)
                self.assertEqual(difference(faceengine.load_image(data), grey.convert("RGB")), 0)

    def test_every_compression_and_the_large_layout(self) -> None:
        picture = _portrait()
        each: list[dict[str, object]] = [{"big_tiff": True}]
        each += [{"compression": name} for name in ("tiff_lzw", "packbits", "jpeg", "zstd")]
        each += [{"compression": "tiff_adobe_deflate", "tiffinfo": {317: 2}}]
        for options in each:
            with self.subTest(**options):
                data = encoded(picture, "TIFF", **options)
                self.assertIsNone(reason(data))
                self.assertLess(difference(faceengine.load_image(data), picture), 6)
        one_bit = picture.convert("1")
        data = encoded(one_bit, "TIFF", compression="group4")
        self.assertEqual(difference(faceengine.load_image(data), one_bit.convert("RGB")), 0)


def _grey_tiff(size: tuple[int, int], bits: int, pixels: bytes, *, photometric: int) -> bytes:
    values = ((258, bits), (259, 1), (262, photometric), (277, 1))
    entries = [(tag, 3, 1, struct.pack("<HH", value, 0)) for tag, value in values]
    longs = ((256, size[0]), (257, size[1]), (273, 8), (278, size[1]), (279, len(pixels)))
    entries += [(tag, 4, 1, struct.pack("<I", value)) for tag, value in longs]
    return costly_files.tiff(entries, data=pixels)


class CleanApertureTests(unittest.TestCase):
    def test_of_heic_the_part_is_taken_and_of_avif_one_that_browsers_show(self) -> None:
        image = image_factories.faceless(160, 120)
        for format, place, size in (
            *(("AVIF", (0, 0), (80, 60)), ("AVIF", (20, 20), (160, 120))),
            *(("HEIC", (0, 0), (80, 60)), ("HEIC", (20, 20), (80, 60))),
            ("HEIC", (120, 90), (40, 30)),  # partly outside
        ):
            with self.subTest(format, place=place):
                data = image_factories.cropped(image, format, (80, 60), *place)
                info = faceengine.check_image(data)
                loaded, full_size = load_reduced(data, 10**6, max_pixels=10**6)
                self.assertEqual({(info.width, info.height), loaded.size, full_size}, {size})


class OtherFormatsTests(unittest.TestCase):
    def test_what_is_no_image_of_ours_is_named(self) -> None:
        for name, (start, words, problem) in _OTHERS.items():
            with self.subTest(name), self.assertRaisesRegex(ImageError, words) as caught:
                faceengine.check_image(start + bytes(500))
            self.assertEqual(caught.exception.reason, problem)


_IMAGE, _NONE = Problem.UNSUPPORTED_IMAGE, Problem.UNSUPPORTED
_OTHERS = {
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", _IMAGE),
    "its code stream": (b"\xff\x4f\xff\x51", "JPEG 2000", _IMAGE),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", _IMAGE),
    "JPEG XL's code stream": (b"\xff\x0a", "JPEG XL", _IMAGE),
    "JPEG XR": (b"II\xbc\x01", "JPEG XR", _IMAGE),
    "HEIF of AVC": (b"\0\0\0\x14ftypavci\0\0\0\0mif1", "HEIF image of another kind", _IMAGE),
    "HEIF of VVC": (b"\0\0\0\x18ftypmif2\0\0\0\0vvicmiaf", "HEIF image of another kind", _IMAGE),
    "film": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video", _NONE),
    "QuickTime": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "a video", _NONE),
    "zip": (b"PK\3\4", "zip archive", _NONE),
    "RAR": (b"Rar!\x1a\7\1\0", "RAR archive", _NONE),
    "SVG with a declaration": (b'<?xml version="1.0"?>\n<svg xmlns="">', "SVG", _NONE),
    "SVG behind blanks": (b"\xef\xbb\xbf \n<svg>", "SVG", _NONE),
}


if __name__ == "__main__":
    unittest.main()
