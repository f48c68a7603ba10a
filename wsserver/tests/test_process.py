"""`python -m wsserver` as a process: settings, signals, log."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from wsserver.tests.base import PATIENCE_S, ServerTestCase, eventually, listening, received

COMMAND: Final = (sys.executable, "-m", "wsserver")

_ROOT: Final = Path(__file__).resolve().parent.parent.parent


class Process:
    """`python -m wsserver` with this environment; its log is kept."""

    def __init__(self, environ: Mapping[str, str], command: Sequence[str] = COMMAND) -> None:
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115
        self.popen = subprocess.Popen(
            command,
            env={**os.environ, "FACES_WS_BIND": "127.0.0.1:0", **environ},
            cwd=_ROOT,
            stderr=self._log,
        )

    @property
    def log(self) -> str:
        return Path(self._log.name).read_text()

    def address(self) -> str:
        """Its address, read from the log."""
        deadline = time.monotonic() + PATIENCE_S
        while not (match := re.search(r"listening on (\S+)", self.log)):
            assert time.monotonic() < deadline and self.popen.poll() is None, self.log
            time.sleep(0.01)
        return match[1]

    def exit_code(self) -> int:
        """Its exit code; waits for its end."""
        return self.popen.wait(timeout=PATIENCE_S)

    def close(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._log.close()


class Started(ServerTestCase):
    async def test_sigterm_and_sigint_close_the_clients_and_end_it_quickly(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start()
            async with listening(process.address()) as alice, listening(process.address()) as bob:
                started = time.monotonic()
                process.popen.send_signal(number)
                await self.assert_closed(alice, 1001, "the server is stopping")
                await self.assert_closed(bob, 1001, "the server is stopping")
            self.assertEqual(await asyncio.to_thread(process.exit_code), 0, process.log)
            self.assertLess(time.monotonic() - started, 8)
            self.assertNotIn("Traceback", process.log)

    async def test_it_stops_cleanly_while_redis_is_away(self) -> None:
        process = self.start()
        process.address()
        self.redis_server.stop()
        process.popen.terminate()
        self.assertEqual(await asyncio.to_thread(process.exit_code), 0, process.log)

    async def test_a_client_whose_server_died_continues_at_another(self) -> None:
        first, second = self.start(), self.start()
        async with listening(first.address()) as alice:
            self.publish()
            seen = (await received(alice))["event_id"]
        first.popen.kill()
        missed = self.publish()
        async with listening(second.address(), f"?since={seen}") as alice:
            self.assertEqual((await received(alice))["submission_id"], missed)

    async def test_the_log_shows_which_submission_was_sent(self) -> None:
        process = self.start()
        async with listening(process.address()) as alice:
            submission_id = self.publish()
            await received(alice)
        await eventually(lambda: f"submission={submission_id}" in process.log)
        pattern = (
            rf"^[-\d]+ [\d:,]+ INFO wsserver\.delivery\.broadcaster .*submission={submission_id}"
        )
        self.assertRegex(process.log, re.compile(pattern, re.MULTILINE))

    async def test_it_raises_the_limit_of_open_files(self) -> None:
        process = self.start(["sh", "-c", 'ulimit -Sn 40; exec "$0" -m wsserver', sys.executable])
        async with AsyncExitStack() as stack:
            for _ in range(60):
                alice = await stack.enter_async_context(listening(process.address()))
            submission_id = self.publish()
            self.assertEqual((await received(alice))["submission_id"], submission_id)

    def start(self, command: Sequence[str] = COMMAND) -> Process:
        process = Process({"CACHE_BACKEND_URL": self.redis_server.url}, command)
        self.addCleanup(process.close)
        return process


class Settings(ServerTestCase):
    def test_an_invalid_setting_ends_the_process_with_one_line(self) -> None:
        for name, value in {
            "FACES_WS_BIND": "8284",
            "CACHE_BACKEND_URL": "http://somewhere",
            "FACES_WS_MAX_CONNECTIONS": "many",
        }.items():
            process = Process({name: value})
            self.addCleanup(process.close)
            self.assertEqual(process.exit_code(), 2)
            self.assertRegex(process.log, rf"^\S+ \S+ CRITICAL wsserver\.main {name} must be ")
            self.assertEqual(process.log.count("\n"), 1, process.log)

    def test_an_address_in_use_ends_the_process_with_a_message(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            bind = f"127.0.0.1:{taken.getsockname()[1]}"
            process = Process({"FACES_WS_BIND": bind})
            self.addCleanup(process.close)
            self.assertEqual(process.exit_code(), 1)
        self.assertIn(f"cannot listen on {bind}: ", process.log)
        self.assertNotIn("Traceback", process.log)
