"""The whole service with keys required, from outside: Alice, Bob, and a client without a key."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support import image_factories, photographs
from tests.support.listener import Listener
from tests.support.stack import Stack
from tests.support.stack_case import StackCase
from wire import environment

OBAMA = photographs.read("obama.jpg")
FACELESS = image_factories.encoded(image_factories.faceless())


def manage(stack: Stack, *arguments: str) -> str:
    """The last line that a command prints."""
    run = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=environment.ROOT,
        env=stack.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip().splitlines()[-1]


class ClosedServiceTests(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_REQUIRE_API_KEY": "true"},
    }
    alice: ClassVar[dict[str, str]]
    bob: ClassVar[dict[str, str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        scopes = "upload,read,recognise,admin"
        keys = [
            manage(cls.stack, "create_api_key", name, "--scopes", scopes)
            for name in ("alice", "bob")
        ]
        cls.alice, cls.bob = ({"Authorization": f"Bearer {key}"} for key in keys)

    def test_a_key_in_a_header_opens_the_feed_of_its_client(self) -> None:
        key = self.alice["Authorization"].partition(" ")[2]
        url = self.stack.listen_url()
        for headers in (self.alice, {"X-Api-Key": key}):
            with connect(url, additional_headers=headers, proxy=None) as feed:
                id = self.upload(self.alice)["id"]
                while json.loads(feed.recv(timeout=60))["submission_id"] != id:
                    "An event of another test."

    def test_a_key_that_opens_nothing_is_refused_with_the_reason(self) -> None:
        for headers, words in (
            ({"Authorization": "Bearer wrong.key"}, "This API key is not valid"),
            ({"X-Api-Key": "wrong"}, "This API key is not valid"),
            ({"Authorization": "Token abc"}, "An API key is needed"),
            ({"Authorization": "Basic eDp5"}, "a token is needed"),
            ({"X-Faces-Feed-Refusal": "forged"}, "a token is needed"),
            ({"X-Faces-Feed-Token": "a.b.c"}, "a token is needed"),
        ):
            url = self.stack.listen_url()
            with connect(url, additional_headers=headers, proxy=None) as feed:
                with self.assertRaises(ConnectionClosed) as closed:
                    feed.recv(timeout=60)
                assert closed.exception.rcvd is not None
                self.assertEqual(closed.exception.rcvd.code, 4401)
                self.assertIn(words, closed.exception.rcvd.reason)

    def upload(self, headers: dict[str, str], image: bytes = OBAMA) -> dict[str, Any]:
        answer = self.stack.post_image(image, headers=headers)
        self.assertEqual(answer.status_code, 202, answer.text)
        body: dict[str, Any] = answer.json()
        return body

    def ended(self, accepted: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        self.stack.wait_until_ended([accepted["id"]])
        resource: dict[str, Any] = self.stack.get(
            f"/image/{accepted['id']}/", headers=headers
        ).json()
        return resource

    def test_the_feed_has_events_of_its_owner_only(self) -> None:
        query = {
            name: self.upload(headers)["feed_url"].partition("?")[2]
            for name, headers in (("alice", self.alice), ("bob", self.bob))
        }
        hers = self.listen(f"{query['alice']}&outcomes=all")
        his = self.listen(f"{query['bob']}&outcomes=all")
        theirs = self.upload(self.alice)["id"]
        mine = self.upload(self.bob, FACELESS)["id"]
        hers.wait_for([theirs])
        his.wait_for([mine])
        self.assertNotIn(theirs, his.ids())
        self.assertNotIn(mine, hers.ids())

    def test_without_a_token_the_connection_is_closed(self) -> None:
        self.assertEqual(_close_frame(self.listen("")), (4401, "a token is needed"))

    def test_a_revoked_key_is_refused_and_its_listener_disconnected(self) -> None:
        key = manage(self.stack, "create_api_key", "carol")
        headers = {"X-Api-Key": key}
        listener = self.listen(self.upload(headers)["feed_url"].partition("?")[2])
        manage(self.stack, "revoke_api_key", key.partition(".")[0])
        self.assertEqual(self.stack.get("/client/", headers=headers).status_code, 401)
        self.assertEqual(_close_frame(listener), (4401, "the API key was revoked"))

    def test_images_need_their_signed_urls(self) -> None:
        resource = self.ended(self.upload(self.alice), self.alice)
        for link in (resource["image_url"], resource["original_url"]):
            with self.subTest(link):
                image = self.stack.request("GET", link)
                self.assertEqual(image.status_code, 200)
                self.assertEqual(image.headers["Content-Type"], "image/jpeg")
                self.assertEqual(image.headers["X-Content-Type-Options"], "nosniff")
                self.assertIn("sandbox", image.headers["Content-Security-Policy"])
                self.assertIn("private", image.headers["Cache-Control"])
                bare = link.partition("?")[0]
                self.assertEqual(self.stack.request("GET", bare).status_code, 401)
                self.assertEqual(self.stack.request("GET", bare, headers=self.bob).status_code, 404)
                own = self.stack.request("GET", bare, headers=self.alice)
                self.assertEqual(own.content, image.content)
        self.assertEqual(self.stack.request("GET", resource["original_url"]).content, OBAMA)

    def test_no_path_and_no_header_reaches_a_file_behind_djangos_back(self) -> None:
        resource = self.ended(self.upload(self.alice), self.alice)
        name = resource["image_url"].partition("?")[0].partition("/static/")[2]
        for path in (
            f"/_media/{name}",
            f"/_media/../media/{name}",
            f"/static/../_media/{name}",
            f"/static/%2e%2e/_media/{name}",
            "/static/processed_faces/../../db.sqlite3",
            "/static/processed_faces/%2e%2e/%2e%2e/db.sqlite3",
            "/static/processed_faces/..%2f..%2fdb.sqlite3",
            "/static/processed_faces//etc/passwd",
            "/_media/..%2fdb.sqlite3",
            "/db.sqlite3",
            "/media/" + name,
            "//_media/" + name,
            f"/static/{name}%00.jpg",
            f"/static/{name};x",
            f"/static/{name.upper()}",
            "/static/processed_faces/",
            "/_media/",
            "/_media/originals/",
        ):
            with self.subTest(path):
                status = _raw_status(self.stack.nginx_port, path)
                self.assertIn(status, (400, 401, 404))
        for header in (
            {"X-Accel-Redirect": f"/_media/{name}"},
            {"X-Original-URL": f"/_media/{name}"},
            {"X-Rewrite-URL": f"/_media/{name}"},
            {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"},
            {"X-Forwarded-Host": "evil.example"},
        ):
            with self.subTest(header):
                answer = self.stack.get(f"/static/{name}", headers=header)
                self.assertEqual(answer.status_code, 401)
                self.assertNotIn("evil.example", answer.text)

    def test_everything_of_a_client_is_erased_by_one_call(self) -> None:
        ids = [self.upload(self.bob, image)["id"] for image in (OBAMA, FACELESS)]
        kept = self.upload(self.alice, FACELESS)["id"]
        self.assertEqual(
            self.stack.request("DELETE", "/client/", headers=self.bob).status_code, 202
        )
        deadline = time.monotonic() + 60
        while self.stack.get("/client/", headers=self.bob).json()["erasing"]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        stored = " ".join(self.stack.stored_files())
        for id in ids:
            self.assertNotIn(id, stored)
            self.assertNotIn(id, self.stack.submissions())
            self.assertNotIn(id, [event["submission_id"] for event in self.stack.events()])
        self.assertIn(kept, self.stack.submissions())


class LimitsUnderLoadTests(StackCase):
    """Many at once: the bounds are exact and what is refused leaves nothing."""

    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {"FACES_REQUIRE_API_KEY": "false", "FACES_UPLOAD_RATE": "30/day"},
    }

    def test_a_rate_and_a_quota_hold_when_everybody_comes_at_once(self) -> None:
        key = manage(self.stack, "create_api_key", "alice")
        self._give_quota(12 * len(FACELESS))
        with ThreadPoolExecutor(20) as pool:
            answers = list(
                pool.map(
                    lambda _: self.stack.post_image(FACELESS, headers={"X-Api-Key": key}), range(60)
                )
            )
        codes = [answer.status_code for answer in answers]
        self.assertEqual(codes.count(202), 12)
        self.assertEqual(set(codes), {202, 429})
        refused = [answer for answer in answers if answer.status_code == 429]
        self.assertTrue(all(int(answer.headers["Retry-After"]) > 0 for answer in refused))
        # The 30 of the day are used up by the 60 that asked, and by them alone.
        again = self.stack.post_image(FACELESS, headers={"X-Api-Key": key})
        self.assertEqual(again.status_code, 429)
        self.assertGreater(int(again.headers["Retry-After"]), 0)
        self.assertEqual(len(self.stack.submissions()), 12)
        originals = [name for name in self.stack.stored_files() if name.startswith("originals/")]
        self.assertEqual(len(originals), 12)

    def _give_quota(self, size_bytes: int) -> None:
        code = (
            "from backend.clients.models import Client; "
            f"Client.objects.filter(name='alice').update(quota_bytes={size_bytes})"
        )
        subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", code],
            cwd=environment.ROOT,
            env={**os.environ, **self.stack.environ},
            check=True,
            capture_output=True,
        )


def _close_frame(listener: Listener) -> tuple[int, str]:
    frame = listener.wait_closed().rcvd
    assert frame is not None, "cut off without a close frame"
    return frame.code, frame.reason


def _raw_status(port: int, path: str) -> int:
    """The status of a GET whose path no client library has tidied up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        return int(connection.recv(4096).split()[1])
