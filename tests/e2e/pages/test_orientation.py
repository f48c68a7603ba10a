"""Boxes fit what a browser shows: Chromium and the engine agree on which way is up."""

import base64
import struct
import unittest
import zlib
from typing import ClassVar

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page, sync_playwright

import faceengine
from faceengine.tests.test_as_found import with_xmp_orientation
from tests.support import browser, image_factories
from tests.support.image_factories import encoded

_SHOWN = """async address => {
    const image = new Image();
    image.src = address;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}"""


class OrientationTests(unittest.TestCase):
    page: ClassVar[Page]

    @classmethod
    def setUpClass(cls) -> None:
        chromium = browser.launch(cls.enterClassContext(sync_playwright()))
        cls.addClassCleanup(chromium.close)
        cls.page = chromium.new_page()

    def test_every_image_has_the_size_that_a_browser_shows(self) -> None:
        for name, data in _files().items():
            with self.subTest(name):
                format = faceengine.check_image(data).format.lower()
                address = f"data:image/{format};base64,{base64.b64encode(data).decode()}"
                shown = tuple(self.page.evaluate(_SHOWN, address))
                self.assertEqual(faceengine.load_image(data).size, shown)


def _files() -> dict[str, bytes]:
    """Images of 60 × 40 pixels that say in some way that they are to be turned."""
    image, exif = image_factories.faceless(60, 40), Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    formats = ("JPEG", "PNG", "WEBP", "AVIF")
    files = {f"{name}, EXIF": encoded(image, name, exif=block) for name in formats}
    files |= {f"{name}, XMP": data for name, data in with_xmp_orientation().items()}
    del files["TIFF, XMP"]  # Chromium shows none
    png, text = encoded(image, "PNG"), PngInfo()
    files["PNG, EXIF behind the pixels"] = png[:-12] + _chunk(block[6:]) + png[-12:]
    jpeg = encoded(image)
    files |= {"JPEG without its end": jpeg[:-2], "PNG without its end": png[:-12]}
    files |= {
        f"AVIF, a part at {place}": image_factories.cropped(image, "AVIF", (40, 20), *place)
        for place in ((0, 0), (10, 10), (20, 20), (40, 30))
    }
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}")
    files["PNG, EXIF as text"] = encoded(image, "PNG", pnginfo=text)
    return files


def _chunk(exif: bytes) -> bytes:
    body = b"eXIf" + exif
    return struct.pack(">I", len(exif)) + body + struct.pack(">I", zlib.crc32(body))
