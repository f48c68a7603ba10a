"""Files with an empty name in a multipart body."""

import io
import unittest
from typing import Any, cast

from django.test import RequestFactory

from backend.common.http.nameless_files import NAME, NamingStream
from backend.common.http.parsers import MultiPartParser
from tests.support.raw_http import BOUNDARY, MULTIPART, form, part

_CONTENT = b"\xff\xd8 --" + BOUNDARY.encode()[:-1] + b'; filename="" \r\n--' + bytes(5000)


def parsed(body: bytes) -> Any:
    request = RequestFactory().post("/image/", body, content_type=MULTIPART)
    return MultiPartParser().parse(cast(Any, request), MULTIPART, {"request": request})


class NamelessFilesTests(unittest.TestCase):
    def test_a_file_with_content_is_one_whatever_its_name(self) -> None:
        for name in (b"", b".", b"..", b"/", b"photos/", b"C:\\\\a\\\\"):
            files = parsed(form(part(b"a", b"1", None), part(b"image", _CONTENT, name))).files
            self.assertEqual((files["image"].read(), files["image"].name), (_CONTENT, NAME))
        files = parsed(form(part(b"image", _CONTENT, b"photos/x.jpg"))).files
        self.assertEqual(files["image"].name, "x.jpg")

    def test_no_chosen_file_stays_none(self) -> None:
        body = parsed(form(part(b"image", b"", b""), part(b"a", b"1", None)))
        self.assertEqual((dict(body.files), body.data["a"]), ({}, "1"))

    def test_a_header_is_found_wherever_blocks_end(self) -> None:
        body = form(part(b"image", _CONTENT[:50], b""), part(b"more", bytes(1100), b""))
        wanted = body.replace(b'filename=""\r', b'filename="%s"\r' % NAME.encode())
        for size in (1, 2, 7, 64, 1023, 1 << 16):
            stream, read = NamingStream(io.BytesIO(body), BOUNDARY.encode()), b""
            while block := stream.read(size):
                read += block
            self.assertEqual(read, wanted, size)
