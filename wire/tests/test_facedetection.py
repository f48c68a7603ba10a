"""The Lambda function's shapes: what is built is read back, and nonsense is refused by name."""

import json
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wire.facedetection import (
    DIMENSIONS,
    Capability,
    ShapeError,
    SourceShape,
    SourceType,
    build_payload,
    callback_path,
    read_callback,
    read_payload,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KEYS = ("api_url", "sources", "accepts", "token", "encodings", "faces", "model", "error")


class EventTests(unittest.TestCase):
    def test_a_payload_survives_the_round_trip(self) -> None:
        kinds = list(SourceType)
        sources: list[SourceShape] = [
            {"pk": n, "type": kind, "photo_url": f"https://faces.example/{n}?s=1", "token": "t"}
            for n, kind in enumerate(kinds)
        ]
        event = read_payload(
            json.loads(json.dumps(build_payload("https://faces.example/", sources)))
        )
        self.assertEqual(event.api_url, "https://faces.example")
        self.assertEqual([each.type for each in event.sources], kinds)
        self.assertEqual(event.accepts, set(Capability))

    def test_the_keys_of_the_contract_suffice_and_unknown_keys_are_ignored(self) -> None:
        source = {"pk": 1, "type": "photo", "photo_url": "http://a/b", "token": "x", "new": 1}
        event = read_payload({"api_url": "http://a:8000", "sources": [source], "new": 2})
        self.assertEqual((event.accepts, event.sources[0].pk), (frozenset(), 1))
        self.assertNotIn("http", repr(event.sources[0]))

    def test_the_path_of_the_callback_is_that_of_the_contract(self) -> None:
        path = callback_path("reference", 7)
        self.assertEqual(path, "/api/facedetection/encodings/reference/7/")

    @given(st.dictionaries(st.sampled_from(KEYS), JSON) | JSON)
    def test_any_document_is_read_or_refused(self, document: Any) -> None:
        for read in (read_payload, read_callback):
            try:
                read(document)
            except ShapeError as error:
                self.assertLess(len(str(error)), 120)


class CallbackTests(unittest.TestCase):
    def test_integers_are_accepted_and_booleans_are_not(self) -> None:
        encodings: Any = [[0] * DIMENSIONS]
        read = read_callback({"token": "t", "encodings": encodings})
        self.assertEqual(read["encodings"], [[0.0] * DIMENSIONS])
        encodings[0][5] = True
        with self.assertRaises(ShapeError):
            read_callback({"token": "t", "encodings": encodings})

    def test_numbers_that_are_not_finite_or_too_large_are_refused(self) -> None:
        for number in (float("nan"), float("inf"), -float("inf"), 10**400, 101.0):
            with self.subTest(number), self.assertRaises(ShapeError):
                read_callback({"token": "t", "encodings": [[number] * DIMENSIONS]})
