"""Archives as programs and attackers write them: every photo is taken, a lie costs nothing."""

import io
import os
import struct
import zipfile
from typing import Any

from django.test import SimpleTestCase

from backend.photos.albums import archive_reader
from backend.photos.tests import factories
from backend.photos.tests.test_archives import taken_out
from tests.support.bounded_cpu import bounded_cpu


class _Unseekable(io.RawIOBase):
    """As a pipe: zipfile writes the sizes behind each entry."""

    def __init__(self) -> None:
        self._written = b""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._written += bytes(data)
        return len(data)

    def taken(self) -> bytes:
        written, self._written = self._written, b""
        return written


class OddArchiveTests(SimpleTestCase):
    FILES = {"a.jpg": b"a" * 3000, "folder/b.jpg": os.urandom(512)}

    def test_a_step_back_that_stays_inside_leads_nowhere(self) -> None:
        names = ["x/../a.jpg", "./b.jpg", "x//c.jpg", "x\\..\\d.jpg", "x/y/../../e.jpg"]
        for content in (
            factories.zipped(dict.fromkeys(names, b"x")),
            factories.tarred(dict.fromkeys(names, b"x")),
        ):
            found = taken_out(content)
            self.assertEqual((len(found), set(found.values())), (5, {b"x"}))

    def test_names_of_marks_take_no_longer_than_their_length(self) -> None:
        marks = "\u0315" * 10_000 + "\u0300" * 10_000
        names = [f"{number}{marks}.jpg" for number in range(200)]
        with bounded_cpu():
            found = taken_out(factories.zipped(dict.fromkeys(names, b"x")))
        self.assertEqual(len(found), 200)

    def test_a_zip_behind_another_beginning_is_one(self) -> None:
        for start in (b"MZ" + os.urandom(5000), b"#!/bin/sh\nexec unzip $0\n", b"PK\7\x08"):
            content = start + factories.zipped(self.FILES)
            self.assertEqual(taken_out(content), self.FILES)
            self.assertEqual(archive_reader.count(io.BytesIO(content)), len(self.FILES))

    def test_a_tar_whose_last_file_is_a_zip_is_a_tar(self) -> None:
        content = factories.tarred({"a.jpg": b"a", "b.bin": factories.zipped(self.FILES)})
        self.assertEqual(set(taken_out(content)), {"a.jpg", "b.bin"})

    def test_sizes_that_lie_cost_nothing(self) -> None:
        whole = factories.zipped({"a.jpg": b"a" * 3000})
        entry = whole.index(b"PK\1\2")
        for place, value in (
            (entry + 20, 1 << 30),
            (entry + 24, 1 << 30),
            (entry + 24, 7),
            (18, 1),
        ):
            content = bytearray(whole)
            struct.pack_into("<I", content, place, value)
            with self.subTest(place - entry, value=value):
                found = taken_out(bytes(content))["a.jpg"]
                self.assertIn(found, (b"a" * 3000, archive_reader._DAMAGED))

    def test_entries_of_every_writer_are_read(self) -> None:
        large, streamed = io.BytesIO(), _Unseekable()
        with zipfile.ZipFile(large, "w") as file, file.open("a.jpg", "w", force_zip64=True) as into:
            into.write(b"a")
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(streamed, "w", method) as file:
                file.writestr("a.jpg", b"a")
            self.assertEqual(taken_out(streamed.taken()), {"a.jpg": b"a"})
        for content in (large.getvalue(), large.getvalue() + bytes(1000)):
            self.assertEqual(taken_out(content), {"a.jpg": b"a"})
