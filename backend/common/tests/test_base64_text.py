"""Bytes of an image as text: every usual form, and the cause of each other."""

import base64
import textwrap
import tracemalloc
from contextlib import suppress
from typing import Any
from urllib.parse import quote_from_bytes

from django.test import SimpleTestCase
from hypothesis import given
from hypothesis import strategies as st

from backend.common.http.base64_text import NotBytes, decode
from tests.support.bounded_cpu import bounded_cpu

_BYTES = bytes(range(256)) + b"\xff\xd8\xfb\xef"
_TEXT = base64.b64encode(_BYTES).decode()


class FormTests(SimpleTestCase):
    def test_every_usual_form_is_read(self) -> None:
        url_safe = base64.urlsafe_b64encode(_BYTES).decode()
        percent = _TEXT.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D")
        raw = "".join(f"%{byte:02x}" for byte in _BYTES)
        forms = {
            "plain": _TEXT,
            "wrapped at 76": "\r\n".join(textwrap.wrap(_TEXT, 76)),
            "wrapped and indented": "\n\t ".join(textwrap.wrap(_TEXT, 64)) + "\n",
            "URL-safe": url_safe,
            "without padding": _TEXT.rstrip("="),
            "URL-safe without padding": url_safe.rstrip("="),
            "too much padding": _TEXT + "==",
            "quoted": f'"{_TEXT}"',
            "data URI": f"data:image/jpeg;base64,{_TEXT}",
            "data URI without a type": f"data:;base64,{_TEXT}",
            "data URI in capitals": f"DATA:IMAGE/PNG;BASE64,{_TEXT}",
            "parameters": f"data:image/png;charset=utf-8;name=a.png;base64,{_TEXT}",
            "a quoted comma": f'data:image/png;name="a,b.png";base64,{_TEXT}',
            "spaces": f" data: image/png ; base64 , {_TEXT} ",
            "wrapped data URI": f"data:image/png;base64,\n{_TEXT[:76]}\n{_TEXT[76:]}",
            "URL-safe data URI": f"data:image/png;base64,{url_safe.rstrip('=')}",
            "percent-encoded base64": f"data:image/png;base64,{percent}",
            "percent-encoded bytes": f"data:image/png,{raw}",
            "without data:": f"image/png;base64,{_TEXT}",
            "without ;": f"data:base64,{_TEXT}",
        }
        for name, text in forms.items():
            with self.subTest(name):
                self.assertEqual(decode(text), _BYTES)

    def test_the_cause_is_named(self) -> None:
        causes: list[tuple[Any, str]] = [
            ("", "no bytes"),
            ("  \n", "no bytes"),
            ("data:image/png;base64,", "no bytes"),
            ("https://example.org/a.jpg", "an address (https:)"),
            ("blob:https://example.org/1", "an address (blob:)"),
            ("data:image/png;base64", "no comma"),
            ("no base64!", "'!' at character 9"),
            ("/9j/4AA*Q", "'*' at character 8"),
            ("/9j/4ä", "'ä' at character 6"),
            ("QUJDRA==QUJD", "padding"),
            ("QUJDR", "cut off"),
            ("data:image/png;base64,QUJD%4", "'%' at character 5"),
            ("b'/9j/4AAQ'", "Python's notation"),
            (None, "not null"),
            (5, "not a number"),
            (True, "not a truth value"),
            ([255, 216], "not a list"),
            ({"type": "Buffer", "data": []}, "not an object"),
        ]
        for value, words in causes:
            with self.subTest(value), self.assertRaises(NotBytes) as caught:
                decode(value)
            self.assertIn(words, str(caught.exception))

    @given(st.binary(min_size=1, max_size=400), st.integers(1, 90))
    def test_any_bytes_come_back_however_they_are_wrapped(self, data: bytes, width: int) -> None:
        for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
            text = "\n".join(textwrap.wrap(encoded.decode().rstrip("="), width))
            self.assertEqual(decode(text), data)
            self.assertEqual(decode(f"data:image/png;base64,{text}"), data)

    @given(st.binary(min_size=1, max_size=400))
    def test_any_bytes_come_back_from_escapes(self, data: bytes) -> None:
        for safe in ("", "=_-+"):
            text = "data:image/png," + quote_from_bytes(data, safe=safe)
            self.assertEqual(decode(text), data)

    def test_text_of_any_kind_takes_a_few_times_its_length_of_memory(self) -> None:
        size = 1 << 20
        for text in (
            *("data:a/b," + "%41" * size, "data:a/b;base64," + "%41" * size, "QUJD\n" * size),
            *("=" * size, "QUJD" * size, "data:a/b;base64," + "+ " * size, "data:" + ";x=y" * size),
        ):
            tracemalloc.start()
            with suppress(NotBytes):
                decode(text)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self.assertLess(peak, 5 * len(text), text[:30])

    def test_a_hostile_text_takes_no_longer_than_its_length(self) -> None:
        names = f"{'a' * 100}/{'b' * 1000}"
        blanks = " " * 1_000_000
        for text in (
            "data:" + ";base64" * 1_000_000,
            "a/" * 2_000_000,
            "data:" + "=" * 4_000_000,
            f"data:{blanks}",
            f"{names}{blanks}",
            f"{names}{' ' * 800}base64{blanks}",
            f"data:{'base64 ' * 100}{blanks}",
        ):
            with self.subTest(text[:20]), bounded_cpu(), self.assertRaises(NotBytes):
                decode(text + "!")

    def test_no_form_takes_much_more_memory_than_the_text(self) -> None:
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for text, length in (
            ("\n".join(["QUJD"] * 200_000), 600_000),
            (f"data:image/png;base64,{'%51%55%4a%44' * 50_000}", 150_000),
            (f"data:image/png,{'%41' * 200_000}", 200_000),
        ):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            self.assertEqual(len(decode(text)), length)
            self.assertLess(tracemalloc.get_traced_memory()[1] - before, 6 * len(text))

    @given(st.binary(min_size=1, max_size=40), st.integers(1, 4))
    def test_escapes_are_read_wherever_a_block_ends(self, data: bytes, first: int) -> None:
        block = 1 << 12
        text = "a" * (block - first) + "".join(f"%{byte:02x}" for byte in data) + "b" * block
        self.assertEqual(decode(f"data:,{text}"), b"a" * (block - first) + data + b"b" * block)

    def test_the_mark_stands_in_the_first_line_before_any_other_comma(self) -> None:
        for text in ("image/png,x;base64,QUJD", "image/png\nx;base64,QUJD", "xbase64,QUJD"):
            with self.subTest(text), self.assertRaises(NotBytes):
                decode(text)
        self.assertEqual(decode("data:image/png\n\tbase64\n,QUJD"), b"ABC")
