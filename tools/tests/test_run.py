"""The launcher, for real: every process of the service is started and ended."""

import io
import os
import signal
import socket
import stat
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from unittest import mock

import requests
from PIL import Image

from tools import config, run
from tools.console import UserError
from tools.tests.launched import Launched, free_port, wait_until
from wire import environment


class NetworkTests(unittest.TestCase):
    def about(self, **settings: str) -> str:
        environ = {**environment.defaults(), **settings}
        with mock.patch.dict(os.environ, environ):
            return run._about_network(config.read(environ, environment.defaults()))

    def test_a_start_for_the_network_names_the_settings_that_belong_together(self) -> None:
        for bind in ("0.0.0.0", "::", "192.168.1.5"):
            text = self.about(FACES_BIND=bind)
            for name in (
                "FACES_BIND",
                "DJANGO_ALLOWED_HOSTS",
                "SERVICE_URL",
                "FACES_TRUSTED_PROXIES",
                "FACES_REQUIRE_API_KEY",
            ):
                self.assertIn(name, text)
        self.assertEqual(self.about(FACES_BIND="127.0.0.1"), "")


class RunningTests(unittest.TestCase):
    """What is true while it runs; one service for all of these."""

    service: Launched

    @classmethod
    def setUpClass(cls) -> None:
        # From nothing, as the first time; its name has a space.
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()), "a folder")
        service = cls.enterClassContext(Launched(storage=folder))
        cls.service = service.wait_for("Faces is ready")

    def test_it_answers_through_nginx(self) -> None:
        answer = requests.get(f"{self.service.url}/healthcheck", timeout=10)
        self.assertEqual((answer.status_code, answer.text), (200, "OK"))

    def test_it_tells_the_address_a_curl_to_try_and_how_to_stop(self) -> None:
        port = self.service.environ["FACES_PORT"]
        self.assertIn(f"Faces is ready at http://localhost:{port}", self.service.output)
        self.assertIn(
            f"curl -F image=@docs/pictures/people.jpg http://localhost:{port}/image/",
            self.service.output,
        )
        self.assertIn("Ctrl-C", self.service.output)

    def test_only_its_user_may_open_the_sockets_behind_nginx(self) -> None:
        for name in ("redis.sock", "backend.sock", "wsserver.sock"):
            with self.subTest(name):
                path = self.service.storage / "run" / name
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        inodes = {link for pid in self.service.processes() for link in _sockets(pid)}
        listening = {port for port, inode in _listening_ports() if f"socket:[{inode}]" in inodes}
        self.assertEqual(listening, {int(self.service.environ["FACES_PORT"])})

    def test_a_large_upload_is_checked_and_accepted_over_the_socket(self) -> None:
        picture = Image.effect_noise((600, 600), 90).convert("RGB")
        data = io.BytesIO()
        picture.save(data, "PNG")
        self.assertGreater(len(data.getvalue()), 100_000)
        for headers, status in (({}, 202), ({"X-Api-Key": "wrong.key"}, 401)):
            answer = requests.post(
                f"{self.service.url}/image/",
                files={"image": ("a.png", data.getvalue())},
                headers=headers,
                timeout=30,
            )
            self.assertEqual(answer.status_code, status, answer.text)

    def test_a_second_one_in_the_same_folder_names_the_running_process(self) -> None:
        with Launched(storage=self.service.storage) as second:
            self.assertEqual(second.wait(), 1)
            self.assertIn(f"runs already in {self.service.storage}", second.output)
            self.assertIn(f"process {self.service.process.pid}", second.output)
            self.assertNotIn("Traceback", second.output)

    def test_a_second_one_at_the_same_port_names_its_process(self) -> None:
        port = self.service.environ["FACES_PORT"]
        with Launched(FACES_PORT=port) as second:
            self.assertEqual(second.wait(), 1)
            self.assertIn(f"port {port} is taken by nginx (process ", second.output)
            self.assertIn("FACES_PORT", second.output)
            self.assertNotIn("Traceback", second.output)

    def test_workers_give_way_to_the_web(self) -> None:
        wait_until(lambda: self.service.named("manage.py work"), "there are workers")
        nicer = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        for pid in self.service.named("manage.py work"):
            self.assertEqual(os.getpriority(os.PRIO_PROCESS, pid), nicer)

    def test_a_killed_process_is_started_again(self) -> None:
        for words, signs in {
            "backend": ("gunicorn", "backend.wsgi"),
            "websocket server": ("wsserver",),
            "Redis": ("redis-server",),
            "nginx": ("nginx: master",),
        }.items():
            with self.subTest(words):
                killed = min(self.service.named(*signs))
                os.kill(killed, signal.SIGKILL)
                back = partial(self._is_another, killed, signs)
                wait_until(back, f"{words} is there again", lambda: self.service.output)
        wait_until(self._is_healthy, "it answers again")

    def test_requests_wait_while_every_web_process_is_replaced(self) -> None:
        self.service.wait_for("Faces is ready")
        killed = self.service.named("gunicorn", "backend.wsgi")
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: not self.service.named("gunicorn", "backend.wsgi") & killed, "they are gone"
        )
        answer = requests.get(f"{self.service.url}/healthcheck", timeout=60)
        self.assertEqual((answer.status_code, answer.text), (200, "OK"))

    def test_no_new_request_is_refused_while_nginx_is_replaced(self) -> None:
        self.service.wait_for("Faces is ready")
        wait_until(lambda: bool(self.service.named("nginx: master")), "nginx runs")
        killed = self.service.named("nginx:")
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.service.named("nginx:") & killed, "they are gone")
        answer = requests.get(f"{self.service.url}/healthcheck", timeout=60)
        self.assertEqual((answer.status_code, answer.text), (200, "OK"))

    def _is_another(self, killed: int, signs: tuple[str, ...]) -> bool:
        return bool(self.service.named(*signs) - {killed})

    def _is_healthy(self) -> bool:
        try:
            return requests.get(f"{self.service.url}/readiness", timeout=5).status_code == 200
        except requests.RequestException:
            return False


def _sockets(pid: int) -> set[str]:
    with suppress(OSError):
        return {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return set()


def _listening_ports() -> Iterator[tuple[int, str]]:
    """Ports and their inodes; 0A is the state of a socket that listens."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                yield int(fields[1].rpartition(":")[2], 16), fields[9]


class EndingTests(unittest.TestCase):
    """However it ends, no process is left."""

    def assert_nothing_left(self, service: Launched) -> None:
        wait_until(
            lambda: not service.processes(), "all processes have ended", lambda: service.output
        )

    def test_ctrl_c_ends_everything_in_order(self) -> None:
        with Launched() as service:
            service.wait_for("Faces is ready")
            self.assertEqual(service.stop(signal.SIGINT), 0, service.output)
            self.assertEqual(service.processes(), set())
            self.assertIn("Everything has stopped.", service.output)
            self.assertNotIn("Traceback", service.output)

    def test_a_signal_during_the_start_ends_all_started_processes(self) -> None:
        for delay_s in (0.3, 0.9, 1.6):
            with self.subTest(delay_s=delay_s), Launched() as service:
                service.wait_for("database up to date")
                time.sleep(delay_s)
                code = service.stop(signal.SIGTERM)
                self.assertIn(code, (0, 128 + signal.SIGTERM), service.output)
                self.assertEqual(service.processes(), set())
                self.assertNotIn("Traceback", service.output)

    def test_a_second_ctrl_c_waits_for_no_process(self) -> None:
        with Launched() as service:
            service.wait_for("Faces is ready")
            # It cannot hear the polite request.
            os.kill(min(service.named("gunicorn")), signal.SIGSTOP)
            service.process.send_signal(signal.SIGINT)
            service.wait_for("Stopping")
            time.sleep(0.5)
            self.assertIsNone(service.process.poll())
            self.assertEqual(service.stop(signal.SIGINT), 0, service.output)
            self.assertEqual(service.processes(), set())

    def test_a_launcher_that_is_killed_takes_the_rest_with_it(self) -> None:
        with Launched() as service:
            service.wait_for("Faces is ready")
            service.process.kill()
            self.assert_nothing_left(service)

    def test_without_supervisor_it_gives_up_and_leaves_nothing(self) -> None:
        with Launched() as service:
            service.wait_for("Faces is ready")
            os.kill(min(service.named("tools.supervisord")), signal.SIGKILL)
            self.assertEqual(service.wait(), 1, service.output)
            self.assertIn("supervisor", service.output)
            self.assertEqual(service.processes(), set())


class RefusingTests(unittest.TestCase):
    """What cannot work ends in one sentence, before anything is started."""

    def assert_refused(self, *words: str, **settings: str) -> None:
        with Launched(storage=None, **settings) as service:
            self.assertEqual(service.wait(), 1, service.output)
            for each in ("Faces cannot go on: ", *words):
                self.assertIn(each, service.output)
            self.assertNotIn("Traceback", service.output)
            self.assertEqual(service.processes(), set())

    def test_a_port_that_another_program_holds(self) -> None:
        with socket.create_server(("127.0.0.1", free_port())) as taken:
            port = taken.getsockname()[1]
            pid = os.getpid()
            self.assert_refused(
                f"port {port} is taken by",
                f"(process {pid})",
                FACES_BACKEND_BIND=f"127.0.0.1:{port}",
            )

    def test_a_folder_that_cannot_be_written_to(self) -> None:
        self.assert_refused("/proc/faces cannot be written to", STORAGE_DIR="/proc/faces")

    def test_a_redis_that_is_not_installed(self) -> None:
        self.assert_refused(
            "redis-server is not on this machine", "apt-get install", PATH="/nowhere"
        )

    def test_an_address_that_is_none(self) -> None:
        self.assert_refused("FACES_WS_BIND", "'here'", FACES_WS_BIND="here")

    def test_a_process_that_does_not_start(self) -> None:
        with Launched(FACES_WEB_PROCESSES="none") as service:
            self.assertEqual(service.wait(), 1, service.output)
            self.assertIn("Faces cannot go on: backend does not start", service.output)
            self.assertEqual(service.processes(), set())

    def test_a_redis_at_another_address_that_does_not_answer(self) -> None:
        port = free_port()
        with (
            mock.patch.object(run, "_REDIS_TIMEOUT_S", 0.1),
            self.assertRaises(UserError) as caught,
        ):
            run._require_redis(f"redis://127.0.0.1:{port}/0")
        self.assertIn(f"no Redis answers at 127.0.0.1:{port}", str(caught.exception))
