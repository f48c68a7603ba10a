"""No secret and no face in any log line, over a whole flow; and each line can be followed."""

import json
import re
import socket
import subprocess
import sys
import unittest
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.support import photographs
from tests.support.listener import Listener
from tests.support.stack import Stack, wait_until
from wire import environment

_SETTINGS = {
    "FACES_REQUIRE_API_KEY": "true",
    "FACES_LOG_FORMAT": "json",
    "FACES_LOG_LEVEL": "DEBUG",
}

_MARK = "Xq7Unlikely"
"""Sent in places that no log line may repeat."""


class LogTests(unittest.TestCase):
    stack: ClassVar[Stack]
    secrets: ClassVar[set[str]]
    submission: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = cls.enterClassContext(Stack(workers=1, nginx=True, settings=_SETTINGS))
        cls.secrets = {_MARK}
        key = _new_key(cls.stack)
        cls.secrets |= {key, key.partition(".")[2]}
        cls.submission = cls._upload_and_look(key)
        cls._try_the_doors(key)
        cls.stack.stop_processes()

    @classmethod
    def _upload_and_look(cls, key: str) -> str:
        headers = {"Authorization": f"Bearer {key}"}
        accepted = cls.stack.post_image(photographs.path("obama.jpg"), headers=headers).json()
        cls._hear(accepted["feed_url"])
        path, resource = f"/image/{accepted['id']}/", {"status": ""}
        cls._remember(accepted["feed_url"])

        def done() -> bool:
            resource.update(cls.stack.get(path, headers={"X-Api-Key": key}).json())
            return resource["status"] == "done"

        wait_until(done, "the image is done")
        for url in (resource["image_url"], resource["original_url"]):
            cls._remember(url)
            answer = cls.stack.get(url.removeprefix(cls.stack.url))
            assert answer.status_code == 200, f"{url} {answer.status_code} {answer.text[:200]}"
            assert cls.stack.get(url.removeprefix(cls.stack.url) + "0").status_code == 403
        return str(accepted["id"])

    @classmethod
    def _try_the_doors(cls, key: str) -> None:
        for path in ("/metrics", "/nowhere", "/image/", "/healthcheck", "/admin/"):
            cls.stack.get(f"{path}?token={_MARK}&x={_MARK}", headers={"X-Api-Key": _MARK})
        cls._hear(f"{cls.stack.url.replace('http', 'ws')}/faces?token={_MARK}")
        cls._hear(f"ws://127.0.0.1:{cls.stack.ws_ports[0]}/faces?since=1&token={_MARK}")
        for port in (cls.stack.nginx_port, cls.stack.backend_port, cls.stack.ws_ports[0]):
            _say(port, f"GET /x?token={_MARK} HTTP/9.9\r\nAuthorization: Bearer {key}\r\n\r\n")
            _say(port, f"BR:EW /x?token={_MARK} HTTP/1.1\r\nHost: localhost\r\n\r\n")

    @classmethod
    def _hear(cls, url: str) -> None:
        parts = urlsplit(url)
        with suppress(Exception), Listener(parts._replace(netloc=parts.netloc).geturl()):
            pass

    @classmethod
    def _remember(cls, url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        assert query, f"{url} opens without a secret"
        cls.secrets |= {value for name in ("token", "signature") for value in query.get(name, [])}
        cls.secrets.add(urlsplit(url).query)

    def lines(self) -> Iterator[tuple[str, str]]:
        for log in self.stack.logs.glob("*.log"):
            for line in log.read_text().splitlines():
                yield log.stem, line

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for process, line in self.lines():
            if process != "nginx":
                yield process, json.loads(line)

    def test_no_line_contains_a_key_a_token_or_a_password(self) -> None:
        for process, line in self.lines():
            for secret in self.secrets:
                self.assertNotIn(secret, line, process)
            self.assertNotRegex(line, r"signature=[^\[]|token=[^\[]|/\S*\?[a-z]+=", process)

    def test_no_line_holds_a_box_or_an_encoding(self) -> None:
        (face,) = self.stack.query("SELECT * FROM analysis_face")
        box = re.compile(rf"\b{face['top']}\b.*\b{face['right']}\b.*\b{face['bottom']}\b")
        for process, line in self.lines():
            self.assertNotRegex(line, box, process)
            self.assertNotRegex(line, r"encoding[\"']?[=:]|(-?\d\.\d{4,}[,\s]+){4}", process)

    def test_every_line_is_an_object_with_its_context(self) -> None:
        self.assertGreater(len(list(self.objects())), 10)
        for process, line in self.objects():
            with self.subTest(process, line=line):
                self.assertLessEqual({"ts", "level", "logger", "message"}, set(line))

    def test_one_image_can_be_followed_through_every_process(self) -> None:
        about = [
            (process, line) for process, line in self.objects() if self.submission in str(line)
        ]
        self.assertEqual({line["submission"] for _, line in about}, {self.submission})
        self.assertEqual({process for process, _ in about}, {"backend", "worker", "wsserver-0"})
        accepted = [line for process, line in about if process == "backend"][0]
        asked = [line for process, line in self.lines() if process == "nginx"]
        self.assertTrue(any(accepted["request"] in line for line in asked))
        self.assertNotIn(accepted["client"], ("", "1"))

    def test_nginx_tells_the_path_without_its_query(self) -> None:
        asked = [line for process, line in self.lines() if process == "nginx"]
        self.assertTrue(any('"GET /nowhere HTTP/1.1" 404' in line for line in asked), asked)


def _new_key(stack: Stack) -> str:
    command = [sys.executable, "manage.py", "create_api_key", "alice"]
    made = subprocess.run(
        command, cwd=environment.ROOT, env=stack.environ, capture_output=True, text=True, check=True
    )
    return made.stdout.splitlines()[-1]


def _say(port: int, text: str) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(text.encode())
        connection.recv(1000)
