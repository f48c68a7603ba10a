"""Images as cameras, phones and old programs write them: taken, and as a browser shows them."""

import io
import math
import struct
import unittest
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

import faceengine
from faceengine import ImageError, Problem
from faceengine.tests.test_hostile import reason
from faceengine.tests.test_images import difference
from tests.support import image_factories
from tests.support.image_factories import encoded

_TAILS = {
    "one byte": b"\0",
    "zeros": bytes(100_000),
    "text": b"Hello.\n" * 20_000,
    "0xff": b"\xff" * 100_000,
    "another image": encoded(image_factories.faceless(40, 30), "PNG"),
}


class TrailingBytesTest(unittest.TestCase):
    def test_bytes_behind_the_end_of_any_format_change_nothing(self) -> None:
        picture = image_factories.portrait(width=80)
        files = {name: encoded(picture, name) for name in image_factories.FORMATS}
        frames = [picture, picture.rotate(90, expand=False)]
        files |= {
            f"animated {name}": image_factories.animated(frames, name)
            for name in ("GIF", "WEBP", "PNG", "AVIF")
        }
        files["progressive"] = encoded(picture, "JPEG", progressive=True)
        for name, data in files.items():
            whole = faceengine.load_image(data)
            for tail, more in _TAILS.items():
                with self.subTest(name, tail=tail):
                    self.assertIsNone(reason(data + more))
                    self.assertEqual(difference(faceengine.load_image(data + more), whole), 0)


class CutAnimationTest(unittest.TestCase):
    def setUp(self) -> None:
        face = image_factories.portrait(width=80)
        self.frames = [face, face.rotate(90), face.rotate(180), face.rotate(270)]

    def test_an_animation_cut_behind_its_first_frame_is_that_frame(self) -> None:
        for name in ("GIF", "WEBP", "PNG", "AVIF"):
            data = image_factories.animated(self.frames, name)
            first = faceengine.load_image(data)
            for share in (0.6, 0.75, 0.9, 0.99):
                with self.subTest(name, share=share):
                    part = data[: int(len(data) * share)]
                    self.assertIsNone(reason(part))
                    self.assertEqual(difference(faceengine.load_image(part), first), 0)

    def test_one_that_lacks_a_part_of_its_first_frame_is_refused(self) -> None:
        for name in ("GIF", "WEBP", "PNG", "AVIF"):
            data = image_factories.animated(self.frames, name)
            for share in (0.05, 0.1, 0.15, 0.2):
                with self.subTest(name, share=share):
                    self.assertIsNotNone(reason(data[: int(len(data) * share)]))

    def test_a_gif_needs_no_trailer(self) -> None:
        data = encoded(self.frames[0], "GIF")
        self.assertEqual(data[-1:], b";")
        self.assertIsNone(reason(data[:-1]))
        self.assertIsNone(reason(data[:-1] + bytes(1000)))


class MissingEndTest(unittest.TestCase):
    def test_a_jpeg_whose_pixels_are_all_there_needs_no_mark_of_its_end(self) -> None:
        picture = image_factories.portrait(width=160)
        for mode, options in _WAYS:
            data = encoded(picture.convert(mode), "JPEG", **options)
            whole = faceengine.load_image(data)
            for without in (data[:-1], data[:-2], data[:-2] + bytes(300), data[:-2] + b"\xff" * 9):
                with self.subTest(mode=mode, **options):
                    self.assertIsNone(reason(without))
                    self.assertEqual(difference(faceengine.load_image(without), whole), 0)

    def test_one_that_lacks_blocks_is_refused_with_and_without_the_mark(self) -> None:
        for mode, options in _WAYS:
            data = encoded(image_factories.portrait(width=160).convert(mode), "JPEG", **options)
            for cut in (20, 40, 100, 700):
                with self.subTest(mode=mode, cut=cut, **options):
                    self.assertEqual(reason(data[:-cut]), Problem.TRUNCATED)


_WAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("RGB", {}), ("RGB", {"progressive": True}), ("RGB", {"restart_marker_rows": 1})),
    *(("L", {}), ("CMYK", {}), ("RGB", {"quality": 95, "subsampling": 0})),
)


class DamagedHeadersTest(unittest.TestCase):
    def test_a_damaged_note_in_a_png_harms_nothing(self) -> None:
        picture = image_factories.portrait(width=80)
        data = encoded(picture, "PNG", pnginfo=_notes(), dpi=(72, 72))
        for right, wrong in ((b"A comment", b"A common!"), (b"pHYs\0", b"pHYs\1")):
            damaged = data.replace(right, wrong)
            self.assertNotEqual(damaged, data)
            self.assertIsNone(reason(damaged))
            self.assertEqual(difference(faceengine.load_image(damaged), picture), 0)
        place = data.index(b"IDAT")
        for critical in (place + 9, 24):
            damaged = data[:critical] + b"\x55" + data[critical + 1 :]
            self.assertIsNotNone(reason(damaged))

    def test_a_webp_that_says_it_is_longer_is_taken_if_its_picture_is_whole(self) -> None:
        picture = image_factories.portrait(width=80)
        for options in ({}, {"lossless": True}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}):
            data = encoded(picture, "WEBP", **options)
            longer = data[:4] + struct.pack("<I", len(data) + 1000) + data[8:]
            self.assertIsNone(reason(longer))
            self.assertIsNotNone(reason(longer[: len(longer) // 2]))


def _notes() -> PngInfo:
    notes = PngInfo()
    notes.add_text("Comment", "A comment")
    return notes


class StrayBytesTest(unittest.TestCase):
    def test_stray_bytes_between_the_segments_of_a_jpeg_are_skipped(self) -> None:
        picture = image_factories.portrait(width=80)
        for options in ({}, {"progressive": True}, {"restart_marker_rows": 1}):
            data = encoded(picture, **options)
            whole = faceengine.load_image(data)
            for place in [*_markers(data)][1:]:
                for stray in (b"garbage", bytes(7), b"\xff" * 7, b"\1\2\3\4\5\6\xff"):
                    with self.subTest(place=place, stray=stray, **options):
                        odd = data[:place] + stray + data[place:]
                        self.assertIsNone(reason(odd))
                        self.assertEqual(difference(faceengine.load_image(odd), whole), 0)


def _markers(data: bytes) -> Iterator[int]:
    """The places of all markers behind the first one, without restarts."""
    place = 2
    while place + 1 < len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0, 0xFF) or 0xD0 <= marker <= 0xD7:
            place += 1
            continue
        yield place
        is_end = marker == 0xD9
        place += 2 if is_end else 2 + struct.unpack_from(">H", data, place + 2)[0]


class BitmapTest(unittest.TestCase):
    def test_a_32_bit_bitmap_whose_alpha_is_0_everywhere_is_opaque(self) -> None:
        picture = image_factories.portrait(width=80)
        for header_bytes in (40, 56, 108, 124):
            for alpha in (0, 255):
                with self.subTest(header_bytes, alpha=alpha):
                    data = _bitmap(picture, header_bytes, alpha)
                    self.assertIsNone(reason(data))
                    self.assertEqual(difference(faceengine.load_image(data), picture), 0)

    def test_an_alpha_that_is_used_counts(self) -> None:
        picture = image_factories.portrait(width=80)
        layer = picture.convert("RGBA")
        layer.putalpha(Image.linear_gradient("L").resize(picture.size))
        loaded = faceengine.load_image(_bitmap(layer, 124, None))
        self.assertEqual(loaded.getpixel((40, 0)), (255, 255, 255))
        self.assertGreater(difference(loaded, picture), 10)


def _bitmap(image: Image.Image, header_bytes: int, alpha: int | None) -> bytes:
    """A BMP of 32 bits a pixel; its header has BITMAPINFOHEADER's length or a later one's."""
    layer = image.convert("RGBA")
    if alpha is not None:
        layer.putalpha(alpha)
    pixels = layer.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    compression = 3 if header_bytes > 40 else 0
    head = struct.pack(
        "<IiiHHIIiiII", header_bytes, *image.size, 1, 32, compression, len(pixels), 0, 0, 0, 0
    )
    head += (masks + bytes(header_bytes))[: header_bytes - 40]
    return (
        struct.pack("<2sIHHI", b"BM", 14 + len(head) + len(pixels), 0, 0, 14 + len(head))
        + head
        + pixels
    )


class ProfileTest(unittest.TestCase):
    """Images with an ICC profile: what is shown is sRGB."""

    def setUp(self) -> None:
        self.picture = image_factories.portrait(width=120)

    def test_colours_of_a_profile_become_srgb_in_every_format_that_has_one(self) -> None:
        swapped = Image.merge("RGB", self.picture.split()[::-1])
        for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"):
            with self.subTest(name):
                data = encoded(swapped, name, icc_profile=_swapped_profile())
                self.assertIsNone(reason(data))
                self.assertLess(difference(faceengine.load_image(data), self.picture), 6)

    def test_transparency_and_palettes_are_converted_too(self) -> None:
        swapped = Image.merge("RGB", self.picture.split()[::-1])
        opaque = swapped.convert("RGBA")
        palette = swapped.quantize(128)
        for image, options in ((opaque, {}), (palette, {}), (palette, {"transparency": 127})):
            data = encoded(image, "PNG", icc_profile=_swapped_profile(), **options)
            self.assertLess(difference(faceengine.load_image(data), self.picture), 10)

    def test_an_srgb_profile_or_a_broken_one_changes_nothing(self) -> None:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        plain = faceengine.load_image(encoded(self.picture))
        for profile in (srgb, lab, b"", b"no profile", srgb[:200], srgb[:36] + bytes(2000)):
            with self.subTest(profile[:8]):
                loaded = faceengine.load_image(encoded(self.picture, icc_profile=profile))
                self.assertEqual(difference(loaded, plain), 0)

    def test_a_profile_of_another_kind_of_image_is_ignored(self) -> None:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        for mode in ("L", "CMYK"):
            image = self.picture.convert(mode)
            plain = faceengine.load_image(encoded(image))
            loaded = faceengine.load_image(encoded(image, icc_profile=srgb))
            self.assertEqual(difference(loaded, plain), 0)

    def test_a_grey_profile_becomes_srgb(self) -> None:
        grey = self.picture.convert("L")
        darker = grey.point(lambda value: 255 * (value / 255) ** (2.2 / 1.6))
        data = encoded(darker, "PNG", icc_profile=_grey_profile(gamma=1.6))
        loaded = faceengine.load_image(data).convert("L")
        self.assertLess(difference(loaded, grey), 4)
        self.assertGreater(difference(darker, grey), 10)


def _swapped_profile() -> bytes:
    """sRGB whose red and blue primaries are exchanged."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    names = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    for index in range(struct.unpack_from(">I", data, 128)[0]):
        at = 132 + 12 * index
        data[at : at + 4] = names.get(bytes(data[at : at + 4]), bytes(data[at : at + 4]))
    return bytes(data)


def _grey_profile(gamma: float) -> bytes:
    """A minimal profile of one channel (ICC.1:2001-04): white point and curve."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 176, len(curve))
    body = tags + white + curve
    head = struct.pack(
        ">I4sI4s4s4s12x4s",
        128 + len(body),
        b"\0\0\0\0",
        0x02400000,
        b"mntr",
        b"GRAY",
        b"XYZ ",
        b"acsp",
    )
    head += bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + body


class HighDynamicRangeTest(unittest.TestCase):
    def test_an_image_in_pq_or_hlg_looks_about_like_a_common_photo(self) -> None:
        picture = image_factories.portrait(width=240)
        for transfer, encode in ((16, _pq), (18, _hlg)):
            for name in ("AVIF", "HEIC"):
                with self.subTest(name, transfer=transfer):
                    coded = picture.point(encode)
                    coded.info.clear()  # the photograph has a profile
                    data = _with_code_points(encoded(coded, name, **_NCLX[name]), 9, transfer)
                    self.assertIsNone(reason(data))
                    loaded = faceengine.load_image(data)
                    self.assertLess(difference(loaded.convert("L"), picture.convert("L")), 32)
                    self.assertEqual(len(faceengine.find_faces(data, encode=False)), 1)

    def test_wide_primaries_without_a_profile_become_srgb(self) -> None:
        red = Image.new("RGB", (64, 64), (200, 60, 60))
        data = _with_code_points(encoded(red, "AVIF", quality=100), 12, 13)
        r, g, _ = faceengine.load_image(data).getpixel((9, 9))  # type: ignore[misc]
        self.assertGreater(r, 208)
        self.assertLess(g, 52)


_NCLX: dict[str, dict[str, object]] = {
    "AVIF": {},
    "HEIC": {"save_nclx_profile": True, "color_primaries": 1},
}


def _pq(value: float) -> float:
    """A level of sRGB as one of PQ whose white has 203 nits."""
    power = math.pow(_linear(value) * 203 / 10_000, 1305 / 8192)
    level = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    return 255 * math.pow(level, 2523 / 32)


def _hlg(value: float) -> float:
    """A level of sRGB as one of HLG whose white has three quarters of the signal."""
    light = _linear(value) * 0.265
    if light <= 1 / 12:
        return 255 * math.sqrt(3 * light)
    return 255 * (0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073)


def _linear(value: float) -> float:
    level = value / 255
    return level / 12.92 if level < 0.041 else math.pow((level + 0.055) / 1.055, 2.4)


def _with_code_points(data: bytes, primaries: int, transfer: int) -> bytes:
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


class CameraRawTest(unittest.TestCase):
    def test_a_raw_file_is_named_and_not_its_thumbnail_taken(self) -> None:
        for name, data in _raw_files().items():
            with self.subTest(name):
                self.assertEqual(reason(data), Problem.CAMERA_RAW)
                with self.assertRaisesRegex(ImageError, "camera's raw file"):
                    faceengine.check_image(data)

    def test_a_common_tiff_with_reduced_copies_is_none(self) -> None:
        copy = [(254, 4, 1), (256, 4, 40), (257, 4, 30), (262, 3, 2), (259, 3, 1)]
        for order in "<>":
            self.assertNotEqual(
                reason(_tiff(order, [(256, 4, 160), (257, 4, 120)], copy)), Problem.CAMERA_RAW
            )
        pages = [image_factories.faceless(40, 30), image_factories.faceless(400, 300)]
        file = io.BytesIO()
        pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
        self.assertIsNone(reason(file.getvalue()))

    def test_of_a_tiff_that_begins_with_its_thumbnail_the_picture_is_taken(self) -> None:
        picture, file = image_factories.faceless(400, 300), io.BytesIO()
        thumbnail = picture.resize((40, 30))
        thumbnail.save(file, "TIFF", tiffinfo={254: 1}, save_all=True, append_images=[picture])
        reduced = struct.pack("<HHII", 254, 4, 1, 1)
        first, second = file.getvalue().split(reduced)[0], file.getvalue().split(reduced)[1:]
        data = first + reduced + struct.pack("<HHII", 254, 4, 1, 0).join(second)
        self.assertIsNone(reason(data))
        self.assertEqual(faceengine.load_image(data).size, (400, 300))
        alone = encoded(thumbnail, "TIFF", tiffinfo={254: 1})
        self.assertEqual(faceengine.load_image(alone).size, (40, 30))


def _raw_files() -> dict[str, bytes]:
    thumbnail = [(254, 4, 1), (256, 4, 160), (257, 4, 120), (262, 3, 2), (259, 3, 1)]
    sensor = [(254, 4, 0), (256, 4, 6000), (257, 4, 4000), (262, 3, 32803), (259, 3, 1)]
    packed = [(254, 4, 0), (256, 4, 6000), (257, 4, 4000), (262, 3, 2), (259, 3, 34713)]
    files = {
        f"{name} {order}": _tiff(order, first, below)
        for order in "<>"
        for name, first, below in (
            ("DNG", [*thumbnail, (50706, 4, 0x01040000)], sensor),
            ("NEF", thumbnail, packed),
            ("ARW", thumbnail, sensor),
            ("sensor data first", sensor, thumbnail),
            ("only larger", thumbnail, sensor[:3]),
        )
    }
    starts = {
        "CR2": b"II*\0\x10\0\0\0CR\2\0",
        "RAF": b"FUJIFILMCCD-RAW 0201",
        "ORF": b"IIRO\x08\0\0\0",
    }
    starts |= {"RW2": b"IIU\0\x18\0\0\0", "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom"}
    return files | {name: start + bytes(500) for name, start in starts.items()}


def _tiff(
    order: str, first: list[tuple[int, int, int]], below: list[tuple[int, int, int]]
) -> bytes:
    """A TIFF of two directories, the second one below the first; tag, type, value."""
    start = 8 + 2 + 12 * (len(first) + 1) + 4
    first = sorted([*first, (330, 4, start)])
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + _directory(order, first) + _directory(order, sorted(below)) + bytes(60_000)


def _directory(order: str, tags: list[tuple[int, int, int]]) -> bytes:
    entries = [
        struct.pack(order + "HHI", tag, kind, 1)
        + struct.pack(order + ("I" if kind == 4 else "H"), value).ljust(4, b"\0")
        for tag, kind, value in tags
    ]
    return struct.pack(order + "H", len(tags)) + b"".join(entries) + bytes(4)


class OrientationTest(unittest.TestCase):
    """What Chromium does; tests/e2e/pages/test_orientation.py compares."""

    def test_an_orientation_in_xmp_alone_is_ignored_in_every_format(self) -> None:
        for name, data in with_xmp_orientation().items():
            with self.subTest(name):
                self.assertEqual(faceengine.load_image(data).size, (60, 40))

    def test_that_of_exif_wins_over_xmp(self) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3
        image = image_factories.faceless(60, 40)
        loaded = faceengine.load_image(encoded(image, "JPEG", exif=exif.tobytes(), xmp=_XMP))
        self.assertLess(difference(loaded, image.rotate(180)), 8)


_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
    b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:tiff='
    b'"http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def with_xmp_orientation() -> dict[str, bytes]:
    """Files of 60 × 40 pixels whose XMP alone says that they are to be turned."""
    image, text = image_factories.faceless(60, 40), PngInfo()
    text.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    files = {name: encoded(image, name, xmp=_XMP) for name in ("JPEG", "WEBP", "AVIF")}
    files["PNG"] = encoded(image, "PNG", pnginfo=text)
    files["TIFF"] = encoded(image, "TIFF", tiffinfo={700: _XMP})
    return files


class TakenAtTest(unittest.TestCase):
    def test_the_time_of_every_format_with_its_offset_and_fraction(self) -> None:
        image = image_factories.faceless(60, 40)
        taken = datetime(2024, 7, 1, 23, 30, 5, 250_000, timezone(timedelta(hours=2)))
        for name in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIC"):
            with self.subTest(name):
                self.assertEqual(faceengine.taken_at(encoded(image, name, exif=_exif())), taken)

    def test_odd_times(self) -> None:
        utc = datetime(2024, 7, 1, 23, 30, 5, tzinfo=UTC)
        image = image_factories.faceless(60, 40)
        for exif, expected in (
            (_exif(offset="", fraction=""), utc),
            (_exif(offset="Z", fraction=""), utc),
            (_exif(offset="   :  ", fraction="  "), utc),
            (_exif(offset="-05:30", fraction=""), utc + timedelta(hours=5, minutes=30)),
            (_exif(time="0000:00:00 00:00:00"), None),
            (_exif(time="    :  :     :  :  "), None),
            (_exif(time="2024:13:45 99:99:99"), None),
            (_exif(time=""), None),
        ):
            with self.subTest(str(expected)):
                self.assertEqual(faceengine.taken_at(encoded(image, exif=exif)), expected)

    def test_the_time_of_xmp_counts_where_exif_has_none(self) -> None:
        xmp = _XMP.replace(b'tiff:Orientation="6"', b'xmp:CreateDate="2024-07-01T10:00:00+02:00"')
        image = image_factories.faceless(60, 40)
        expected = datetime(2024, 7, 1, 8, tzinfo=UTC)
        for name in ("JPEG", "WEBP", "AVIF"):
            self.assertEqual(faceengine.taken_at(encoded(image, name, xmp=xmp)), expected)

    def test_an_image_without_a_time_has_none(self) -> None:
        for name in image_factories.FORMATS:
            data = encoded(image_factories.faceless(60, 40), name)
            self.assertIsNone(faceengine.taken_at(data))
        for data in (b"", b"no image", b"\xff\xd8\xff\xe1\x00\x10Exif\0\0garbage"):
            self.assertIsNone(faceengine.taken_at(data))


def _exif(time: str = "2024:07:01 23:30:05", offset: str = "+02:00", fraction: str = "25") -> bytes:
    exif = Image.Exif()
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    tags[ExifTags.Base.DateTimeOriginal] = time
    tags[ExifTags.Base.OffsetTimeOriginal] = offset
    tags[ExifTags.Base.SubsecTimeOriginal] = fraction
    return exif.tobytes()


if __name__ == "__main__":
    unittest.main()
