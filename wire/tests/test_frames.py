"""The frames' schema: what is built fits it, what is not a frame does not."""

import json
import unittest
from datetime import UTC, datetime
from typing import Any

import jsonschema

from wire import events, frames
from wire.environment import ROOT
from wire.events import Outcome
from wsserver.delivery import closing, replay
from wsserver.request import auth
from wsserver.stream.redis_stream import State

_CHECK = jsonschema.Draft202012Validator(
    frames.FRAME, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


def frame(of: Outcome = Outcome.FACES, **changes: Any) -> dict[str, Any]:
    """A frame, as it goes from a worker through the stream to a listener."""
    now = datetime.now(UTC)
    event = events.build_event(
        submission_id="7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a",
        outcome=of,
        created_at=now,
        processed_at=now,
        faces=[{"box": {"top": 1, "right": 2, "bottom": 3, "left": 0}}] if of == "faces" else [],
        image_url="http://localhost/static/x.jpg" if of == "faces" else None,
        reason="It is broken." if of == "failed" else None,
    )
    sent = events.from_entry("1767323046012-0", events.to_entry(event, owner="1"))["frame"]
    return {**json.loads(sent), **changes}


class FrameTests(unittest.TestCase):
    def test_the_schema_is_valid(self) -> None:
        jsonschema.Draft202012Validator.check_schema(frames.FRAME)

    def test_the_frame_of_every_outcome_is_valid(self) -> None:
        for outcome in events.OF_SUBMISSIONS:
            with self.subTest(outcome):
                _CHECK.validate(frame(outcome))
                self.assertEqual(set(frame(outcome)), set(frames.EVENT["properties"]))

    def test_the_frame_of_an_operation_is_valid(self) -> None:
        now = datetime.now(UTC)
        event = events.build_operation_event(
            operation_id="7246f927-3c53-4d2f-9f4e-5f4f4b0d1f6a",
            operation_url="http://localhost/recognition/operations/7246f927/",
            kind="add",
            status="done",
            created_at=now,
            processed_at=now,
        )
        entry = events.to_entry(event, owner="1")
        sent = json.loads(events.from_entry("1767323046012-0", entry)["frame"])
        _CHECK.validate(sent)
        self.assertEqual(set(sent), set(frames.OPERATION["properties"]))

    def test_the_notice_of_a_gap_is_valid(self) -> None:
        for oldest in (None, (1767323046012, 0)):
            state = State(oldest=oldest, newest=(1767323046012, 0), is_trimmed=True)
            _CHECK.validate(json.loads(replay.gap_frame(state)))

    def test_other_documents_are_invalid(self) -> None:
        lacking = frame()
        del lacking["submission_id"]
        for wrong in (
            lacking,
            frame(faces_count=-1),
            frame(outcome="maybe"),
            frame(created_at=3),
            frame(submission_id="7"),
            frame(event_id="yesterday"),
            frame(faces=[{"box": {"top": 1}}]),
            {},
        ):
            self.assertFalse(_CHECK.is_valid(wrong), wrong)


class CloseTests(unittest.TestCase):
    def test_every_code_of_the_server_is_described(self) -> None:
        codes = {value for name, value in vars(closing).items() if isinstance(value, int)}
        self.assertLessEqual(codes, set(frames.CLOSES))
        self.assertIn(auth.EXPIRED, frames.CLOSES[closing.REFUSED].reasons)

    def test_docs_events_names_each_code_and_reason(self) -> None:
        page = (ROOT / "docs" / "events.md").read_text()
        rows = [line for line in page.splitlines() if line.startswith("| ")]
        for code, close in frames.CLOSES.items():
            described = " ".join(row for row in rows if row.startswith(f"| {code} "))
            for reason in close.reasons:
                self.assertIn(f"`{reason}`", described)
