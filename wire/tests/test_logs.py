"""The form of log lines, and what is taken out of them."""

import json
import logging
import re
import sys
import unittest
from typing import Any

from tests.support.bounded_cpu import bounded_cpu
from wire import logs

_ID = "7246f927-4d36-4f1c-b19e-bb7c0d7a7b8a"


def record(message: str, *args: Any, **context: str) -> logging.LogRecord:
    made = logging.LogRecord("backend.x", logging.INFO, "", 0, message, args, None)
    vars(made).update(context)
    return made


class ScrubTests(unittest.TestCase):
    def test_secrets_are_removed(self) -> None:
        secret = "s3cretS3cret"
        key, jwt = f"Ab3dEf6h.{'k' * 32}", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
        for line in (
            f"GET /faces?token={secret} HTTP/1.1",
            f"asked for /static/a/b.jpg?expires=1&signature={secret}",
            f"http://localhost:8282/faces?{secret}",
            f"Authorization: Bearer {secret}",
            f"X-Api-Key: {secret}",
            f"{{'token': '{secret}'}}",
            f'{{"signature": "{secret}"}}',
            f"Error 111 connecting to redis://:{secret}@redis:6379",
            f"key {key} was sent",
            f"no such feed: {jwt}",
        ):
            with self.subTest(line):
                scrubbed = logs.scrub(line)
                for part in (secret, key, jwt):
                    self.assertNotIn(part, scrubbed)
                self.assertIn("[…]", scrubbed)

    def test_other_text_is_kept(self) -> None:
        for line in (
            f"accepted submission={_ID} owner=1 bytes=51577",
            "audit actor=key Ab3dEf6h action=revoke key subject=Ab3dEf6h of alice",
            "What now? Nothing. 127.0.0.1:8284 and /image/ took 0.5 s",
            "event submission=x event=1795246899963-0",
        ):
            with self.subTest(line):
                self.assertEqual(logs.scrub(line), line)

    def test_a_hostile_text_takes_no_longer_than_its_length(self) -> None:
        for part in ("/", "/?", "eyJ-", "eyJa.", "token ", "token=", "://", "bearer ", "a.", "'"):
            with self.subTest(part), bounded_cpu():
                logs.scrub(part * 300_000)
                logs.scrub("password" + " " * 1_000_000 + part)

    def test_only_the_query_of_what_has_a_path_is_removed(self) -> None:
        for line, scrubbed in {
            "/a?b/c?d /e??f": "/a?[…] /e?[…]",
            "what? a?b /x? (/y?z)": "what? a?b /x? (/y?[…]",
            "a?b/c?d x-eyJa.eyJb.c,": "a?b/c?[…] x-[…],",
        }.items():
            self.assertEqual(logs.scrub(line), scrubbed)


class FormatTests(unittest.TestCase):
    def test_a_json_line_names_request_client_and_submission(self) -> None:
        entry = record("done submission=%s faces=%d", _ID, 4, request_id="abc", client_id="7")
        line = json.loads(logs.formatter("json").format(entry))
        self.assertRegex(line.pop("ts"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00\Z")
        expected = {"level": "INFO", "logger": "backend.x", "request": "abc", "client": "7"}
        message = f"done submission={_ID} faces=4"
        self.assertEqual(line, {**expected, "message": message, "submission": _ID})

    def test_unknown_context_is_left_out(self) -> None:
        line = json.loads(logs.formatter("json").format(record("hello", request_id="")))
        self.assertEqual(set(line), {"ts", "level", "logger", "message"})

    def test_a_traceback_is_part_of_the_json_line(self) -> None:
        entry = record("failed")
        try:
            raise ValueError("token=abc\nsecond")
        except ValueError:
            entry.exc_info = sys.exc_info()
        text = logs.formatter("json").format(entry)
        self.assertNotIn("\n", text)
        self.assertIn("ValueError", json.loads(text)["error"])
        self.assertNotIn("abc", text)

    def test_what_a_caller_sent_begins_no_line_and_steers_no_terminal(self) -> None:
        self.assertTrue(logs.formatter("text").format(record("a\udc80")).encode())
        for sent in (
            "a\nFAKE",
            "a\r\nFAKE",
            "a\x1b[2JFAKE",
            "a\x85FAKE",
            "a\u2028FAKE",
            "a\u202eFAKE",
        ):
            for kind in logs.FORMATS:
                with self.subTest(sent, kind=kind):
                    line = logs.formatter(kind).format(record("sent %s", sent, request_id="b\nc"))
                    self.assertEqual(len(line.encode().decode().splitlines()), 1)
                    self.assertIsNone(re.search("[\x1b\u202e]", line))
                    if kind == "json":
                        self.assertEqual(json.loads(line)["message"], f"sent {sent}")
        error = record("failed: %s", "a\nFAKE")
        try:
            raise ValueError("a\nb\x1b[2J")
        except ValueError:
            error.exc_info = sys.exc_info()
        text = logs.formatter("text").format(error)
        self.assertIn("ValueError: a\nb\\x1b[2J", text)

    def test_a_text_line_ends_with_request_and_client(self) -> None:
        entry = record("submission=%s done", _ID, request_id="abc", client_id="7")
        line = logs.formatter("text").format(entry)
        self.assertTrue(line.endswith(f"INFO backend.x submission={_ID} done request=abc client=7"))
