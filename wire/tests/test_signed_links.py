"""Seals: what the event stream holds in the place of signed links."""

import json
import time
import unittest
from datetime import UTC, datetime
from itertools import product
from urllib.parse import parse_qs, urlsplit

from wire import events, signed_links
from wire.events import Outcome

KEY = signed_links.signing_key("a secret of the tests, long enough")
PATH = "/static/processed_faces/72/46/7246f927.jpg"
URL = f"https://faces.example/below{PATH}"


def entry(owner: str = "7", url: str = URL, path: str = PATH) -> dict[str, str]:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    event = events.build_event(
        submission_id="s",
        outcome=Outcome.FACES,
        created_at=now,
        processed_at=now,
        image_url=url,
    )
    seal = signed_links.seal(KEY, owner=owner, url=url, path=path)
    return events.to_entry(event, owner=owner, seal=seal)


def sent(fields: dict[str, str], key: bytes = KEY) -> str:
    """The `image_url` of the frame."""
    frame = json.loads(events.from_entry("1-2", fields, link_key=key)["frame"])
    return str(frame["image_url"])


class SealTests(unittest.TestCase):
    def test_the_frame_has_a_link_that_is_valid_from_now_on(self) -> None:
        link = sent(entry())
        self.assertTrue(link.startswith(f"{URL}?"))
        query = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        wanted = signed_links.signature(KEY, PATH, query["expires"])
        self.assertEqual(query["signature"], wanted)
        self.assertGreaterEqual(int(query["expires"]), time.time() + signed_links.LIFETIME_S - 5)

    def test_the_entry_opens_nothing(self) -> None:
        stored = json.dumps(entry())
        self.assertNotIn("signature", stored)
        for hour in range(-24, 50):
            expires = str(int((time.time() // 3600 + hour) * 3600))
            self.assertNotIn(signed_links.signature(KEY, PATH, expires), stored)

    def test_a_seal_holds_for_its_owner_url_and_path_only(self) -> None:
        other = entry("8", "https://evil.example/x.jpg", "/image/another/original")
        for changed in ({"owner": "8"}, {"event": other["event"]}, {"seal": other["seal"]}):
            with self.subTest(changed):
                self.assertNotIn("signature", sent({**entry(), **changed}))
        good = entry()["seal"]
        digest, _, path = good.partition(" ")
        for seal in ("", " ", digest, f" {path}", f"{digest} {path}x", f"é {path}", "x" * 9999):
            with self.subTest(seal):
                self.assertNotIn("signature", sent({**entry(), "seal": seal}))

    def test_where_owner_url_and_path_meet_is_part_of_it(self) -> None:
        parts = [("1", "12", "2"), ("11", "2", "2"), ("1", "1", "22"), ("", "1122", "")]
        seals = {
            signed_links.seal(KEY, owner=owner, url=url, path=path).partition(" ")[0]
            for owner, url, path in parts
        }
        self.assertEqual(len(seals), len(parts))

    def test_a_seal_of_another_secret_is_none(self) -> None:
        self.assertNotIn("signature", sent(entry(), signed_links.signing_key("another")))
        self.assertNotIn("signature", sent(entry(), b""))

    def test_events_of_any_kind_are_read_with_or_without_a_seal(self) -> None:
        urls: tuple[object, ...] = (None, 7, [], {})
        for url, seal in product(urls, ("", "x y")):
            with self.subTest(url=url, seal=seal):
                fields = entry()
                event = {**json.loads(fields["event"]), "image_url": url}
                fields = {**fields, "event": json.dumps(event), "seal": seal}
                self.assertEqual(sent(fields), str(url))

    def test_a_document_that_is_nested_too_deeply_is_no_event(self) -> None:
        with self.assertRaises(ValueError):
            events.from_entry("1-2", {**entry(), "event": "[" * 200_000})
