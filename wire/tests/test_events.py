"""An event reaches the listener as the worker built it."""

import json
import unittest
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wire.events import (
    MESSAGES,
    BoxShape,
    Event,
    Outcome,
    build_event,
    from_entry,
    parse_event_id,
    to_entry,
)

NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SIDES = st.integers(0, 100_000)
BOXES = st.builds(
    lambda top, right, bottom, left: BoxShape(top=top, right=right, bottom=bottom, left=left),
    *[SIDES] * 4,
)
MOMENTS = st.datetimes(timezones=st.timezones())
EVENTS = st.builds(
    build_event,
    submission_id=TEXTS,
    outcome=st.sampled_from(Outcome),
    created_at=MOMENTS,
    processed_at=MOMENTS,
    faces=st.lists(
        st.fixed_dictionaries(
            {"box": BOXES}, optional={"rotation": st.sampled_from((90, 180, 270))}
        ),
        max_size=5,
    ),
    image_url=st.none() | TEXTS,
    reason=st.none() | TEXTS,
)


def an_event(outcome: Outcome = Outcome.FACES) -> Event:
    now = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    return build_event(submission_id="s", outcome=outcome, created_at=now, processed_at=now)


class RoundTrip(unittest.TestCase):
    @given(event=EVENTS, owner=TEXTS)
    def test_an_event_survives_the_round_trip(self, event: Event, owner: str) -> None:
        entry = from_entry("1-2", to_entry(event, owner=owner))
        self.assertEqual(json.loads(entry["frame"]), {**event, "event_id": "1-2"})
        self.assertEqual(entry["submission_id"], event["submission_id"])
        self.assertEqual(entry["outcome"], event["outcome"])
        self.assertEqual(entry["owner"], owner)

    @given(event=EVENTS)
    def test_the_frame_begins_with_the_contracts_keys(self, event: Event) -> None:
        frame = json.loads(from_entry("1-2", to_entry(event, owner="1"))["frame"])
        contract = ["message", "created_at", "processed_at", "faces_count", "image_url"]
        self.assertEqual(list(frame)[:5], contract)
        self.assertEqual(frame["faces_count"], len(frame["faces"]))

    def test_every_outcome_has_a_message(self) -> None:
        self.assertEqual(set(MESSAGES), set(Outcome))
        self.assertEqual(an_event()["message"], "Successful face detection")

    def test_times_are_iso_8601_with_an_offset(self) -> None:
        self.assertEqual(an_event()["created_at"], "2026-01-02T03:04:05.678901+00:00")

    def test_the_fields_are_text_as_redis_needs_them(self) -> None:
        fields = to_entry(an_event(Outcome.FAILED), owner="1")
        self.assertTrue(all(isinstance(value, str) for value in fields.values()))
        self.assertEqual(fields["outcome"], "failed")


class BadEntries(unittest.TestCase):
    def test_an_entry_without_a_field_is_refused(self) -> None:
        good: dict[str, str] = to_entry(an_event(), owner="1")
        for name in good:
            fields = {key: value for key, value in good.items() if key != name}
            with self.subTest(name), self.assertRaisesRegex(ValueError, "1-2 is not an event"):
                from_entry("1-2", fields)

    def test_an_entry_with_an_invalid_field_is_refused(self) -> None:
        good: dict[str, Any] = dict(to_entry(an_event(), owner="1"))
        for change in (
            {"event": ""},
            {"event": "{"},
            {"event": "[]"},
            {"event": "7"},
            {"event": "null"},
            {"event": '{"processed_at": "", "faces_count": NaN}'},
            {"event": '{"processed_at": "", "a": [-Infinity]}'},
            {"event": '{"processed_at": "", "a": 1e999}'},
            {"event": '{"processed_at": "", "a": ' + "9" * 5000 + "}"},
            {"event": '{"processed_at": 7}'},
            {"outcome": "great"},
            {"outcome": ""},
        ):
            with self.subTest(change), self.assertRaisesRegex(ValueError, "1-2 is not an event"):
                from_entry("1-2", {**good, **change})

    def test_an_entry_of_any_depth_is_read_or_refused(self) -> None:
        good: dict[str, Any] = dict(to_entry(an_event(), owner="1"))
        for depth in (*range(900, 1000), 100_000):
            text = '{"processed_at": "", "a": ' + "[" * depth + "]" * depth + "}"
            try:
                from_entry("1-2", {**good, "event": text})
            except ValueError as error:
                self.assertIn("1-2 is not an event", str(error))


class EventIds(unittest.TestCase):
    @given(NUMBERS, NUMBERS)
    def test_an_id_is_two_numbers(self, milliseconds: int, sequence: int) -> None:
        self.assertEqual(parse_event_id(f"{milliseconds}-{sequence}"), (milliseconds, sequence))

    @given(NUMBERS)
    def test_without_a_sequence_it_is_the_first_of_its_millisecond(self, milliseconds: int) -> None:
        self.assertEqual(parse_event_id(str(milliseconds)), (milliseconds, 0))

    def test_ids_compare_by_age_and_not_by_letters(self) -> None:
        self.assertLess(parse_event_id("9-10"), parse_event_id("10-9"))
        self.assertLess(parse_event_id("10-9"), parse_event_id("10-10"))

    def test_other_text_is_refused(self) -> None:
        for text in ("", "-", "1-", "-1", "1-2-3", "$", "+", "1.5", " 1", "1\n", "٣", "x" * 100):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "not an event id"):
                parse_event_id(text)

    def test_numbers_of_more_than_64_bits_are_refused(self) -> None:
        for text in (str(2**64), f"0-{2**64}"):
            with self.subTest(text), self.assertRaises(ValueError):
                parse_event_id(text)

    @given(st.text())
    def test_any_text_is_parsed_or_refused(self, text: str) -> None:
        try:
            parse_event_id(text)
        except ValueError:
            return
        self.assertRegex(text, r"\A\d+(-\d+)?\Z")
