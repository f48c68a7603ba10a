"""Redis in Docker: the password that its script makes, and how the services take it."""

import os
import socket
import stat
import subprocess
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tools import apt
from tools.shell import ROOT
from tools.tests.launched import free_port
from wire.redis_url import with_password


class RedisInDockerTests(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.data, self.temporary = folder / "data", folder / "tmp"
        self.data.mkdir()
        self.temporary.mkdir()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0?password_file={self.data}/password"

    @contextmanager
    def started(self) -> Iterator[str]:
        """A server as the container starts it; yields its command line."""
        program = apt.find("redis-server")
        assert program is not None
        environ = {
            "PATH": f"{Path(program).parent}:{os.environ['PATH']}",
            "FACES_REDIS_FOLDER": str(self.data),
            "FACES_REDIS_TEMPORARY": str(self.temporary),
        }
        command = ["sh", str(ROOT / "tools" / "redis_docker.sh"), "--port", str(self.port)]
        arguments = ["--bind", "127.0.0.1", "--protected-mode", "no", "--save", ""]
        server = subprocess.Popen(
            [*command, *arguments], env=environ, cwd=self.data, stdout=subprocess.DEVNULL
        )
        try:
            self.wait_until_it_listens()
            yield Path(f"/proc/{server.pid}/cmdline").read_text()
        finally:
            server.terminate()
            server.wait()

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def test_only_a_client_with_the_password_is_served(self) -> None:
        with self.started() as command_line:
            password = (self.data / "password").read_text().strip()
            self.assertRegex(password, r"\A[0-9a-f]{64}\Z")
            self.assertNotIn(password, command_line)
            mode = (self.temporary / "redis.conf").stat().st_mode
            self.assertEqual(stat.S_IMODE(mode), 0o600)
            with redis.Redis.from_url(with_password(self.url)) as client:
                self.assertTrue(client.ping())
            for url in (f"redis://127.0.0.1:{self.port}/0", f"redis://:x@127.0.0.1:{self.port}/0"):
                with redis.Redis.from_url(url) as client, self.assertRaises(redis.RedisError):
                    client.ping()

    def test_the_password_stays_over_starts_and_is_not_that_of_another(self) -> None:
        found = []
        for _ in range(2):
            with self.started():
                found.append((self.data / "password").read_text())
        self.assertEqual(found[0], found[1])
        (self.data / "password").unlink()
        with self.started():
            self.assertNotEqual((self.data / "password").read_text(), found[0])


class UrlTests(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = folder / "password"
        self.file.write_text("p@ss/word:1\n")

    def test_the_password_is_put_into_the_url(self) -> None:
        named = f"password_file={self.file}"
        for url, expected in {
            f"redis://redis:6379/0?{named}": "redis://:p%40ss%2Fword%3A1@redis:6379/0",
            f"rediss://faces@redis/1?{named}&socket_timeout=2": (
                "rediss://faces:p%40ss%2Fword%3A1@redis/1?socket_timeout=2"
            ),
            "redis://:own@redis:6379/0": "redis://:own@redis:6379/0",
            "unix:///run/redis.sock": "unix:///run/redis.sock",
        }.items():
            with self.subTest(url):
                self.assertEqual(with_password(url), expected)

    def test_before_the_first_start_of_redis_there_is_none(self) -> None:
        url = f"redis://redis:6379/0?password_file={self.file}.missing"
        self.assertEqual(with_password(url), "redis://redis:6379/0")
