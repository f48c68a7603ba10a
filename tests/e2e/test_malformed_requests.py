"""Requests that nginx and gunicorn refuse before our code runs; permissions of stored files."""

import json
from typing import Any, ClassVar

from tests.support import raw_http, samples
from tests.support.stack_case import StackCase


class OddRequestTests(StackCase):
    options: ClassVar[dict[str, Any]] = {"nginx": True, "workers": 1}

    def say(self, line: str, *headers: str) -> raw_http.Answer:
        """The answer to a request of this line and these headers, which may hold any bytes."""
        head = "\r\n".join((line, "Host: localhost", "Connection: close", *headers, "", ""))
        return raw_http.send(self.stack.nginx_port, [head.encode("latin-1")])

    def test_an_answer_that_comes_before_the_body_is_read_arrives(self) -> None:
        """One in ten was a 502: gunicorn closed its socket with unread bytes."""
        body = b"x" * 3_000_000
        statuses = {self.stack.request("POST", "/stats/", data=body).status_code for _ in range(80)}
        self.assertEqual(statuses, {405})

    def test_every_refusal_has_the_shape_of_all_errors(self) -> None:
        many = [f"X-{number}: a" for number in range(200)]
        for name, status, line, headers in (
            ("a path too long", 414, f"GET /{'a' * 9000} HTTP/1.1", []),
            ("the longest path", 404, f"GET /{'a' * 8170} HTTP/1.1", []),
            ("a header too long", 400, "GET /image/ HTTP/1.1", [f"X-A: {'a' * 9000}"]),
            ("a forbidden byte", 400, "GET /image/ HTTP/1.1", ["X-A: \x01"]),
            ("a method too long", 400, f"{'A' * 40} /image/ HTTP/1.1", []),
            ("an unknown method", 405, "FOO-BAR /healthcheck HTTP/1.1", []),
            ("many headers", 405, "PUT /image/ HTTP/1.1", many),
            ("many headers of a feed", 431, "GET /faces HTTP/1.1", many),
            ("the longest query of a feed", 426, f"GET /faces?{'a' * 8160} HTTP/1.1", []),
        ):
            with self.subTest(name):
                answer = self.say(line, *headers)
                self.assertEqual(answer.status, status, answer.body)
                self.assertEqual(list(json.loads(answer.body)), ["detail"])

    def test_other_users_of_the_machine_cannot_read_stored_files(self) -> None:
        self.stack.wait_ended([self.stack.upload(samples.face())])
        media = [*self.stack.storage.glob("media/*")]
        self.assertEqual({folder.name for folder in media}, {"originals", "processed_faces"})
        # No file of SQLite's where the rows live in PostgreSQL.
        files = [*self.stack.storage.glob("db.sqlite3*"), *media]
        for file in files:
            self.assertEqual(file.stat().st_mode & 0o007, 0, file)
