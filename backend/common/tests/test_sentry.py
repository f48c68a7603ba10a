"""What Sentry is told, by processes that run as the service's do; and what it is not."""

import gzip
import json
import os
import subprocess
import sys
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from tests.support.redis_server import RedisServer
from wire import environment

_SECRET = "Xq7Unlikely"

_PROGRAM = f"""
import os, sys
from unittest import mock
import django
django.setup()
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory
from backend.wsgi import application

def fail_in_view(*args, **kwargs):
    picture = b"{_SECRET}" * 100
    raise RuntimeError("failed at /image/?token={_SECRET}")

requests = RequestFactory(headers={{
    "Authorization": "Bearer {_SECRET}", "X-Api-Key": "{_SECRET}", "Cookie": "sessionid={_SECRET}",
}})
with mock.patch("backend.clients.auth.authentication.by_key", fail_in_view):
    file = SimpleUploadedFile("a.png", b"{_SECRET}")
    request = requests.post("/image/?token={_SECRET}", {{"image": file}})
    list(application(request.environ, lambda *answer: None))

from multiprocessing import RawValue
from backend.common.jobs import queues
from backend.common.jobs.worker import Worker
task = "backend.common.tests.test_sentry.fail"
queues.enqueue("uploads", task, "{_SECRET}", job_id="job")
with mock.patch("backend.common.jobs.worker.known_tasks", lambda: {{task}}):
    Worker("one", RawValue("d")).run_next()

import sentry_sdk
sentry_sdk.flush()
"""


def fail(secret: str) -> None:
    """A job that fails, with something in hand that nobody must see."""
    from backend.common.observability import logs

    with logs.about_submission("7246f927-4d36-4f1c-b19e-bb7c0d7a7b8a"):
        encoding = [secret] * 128
        raise LookupError(f"failed with {len(encoding)} numbers")


class FakeSentry:
    """An endpoint on the loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                zipped = self.headers.get("Content-Encoding") == "gzip"
                received.append(gzip.decompress(body) if zipped else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.dsn = f"http://publickey@127.0.0.1:{self._server.server_port}/1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def events(self) -> list[dict[str, Any]]:
        """The errors; an envelope is lines of JSON, of which the last is the event."""
        documents = [json.loads(body.splitlines()[-1]) for body in self.received]
        return [document for document in documents if "exception" in document]


class SentryTests(unittest.TestCase):
    sentry: ClassVar[FakeSentry]
    events: ClassVar[dict[str, dict[str, Any]]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.sentry = FakeSentry()
        cls.addClassCleanup(cls.sentry.close)
        redis = cls.enterClassContext(RedisServer())
        ran = _run(_PROGRAM, FACES_SENTRY_DSN=cls.sentry.dsn, CACHE_BACKEND_URL=redis.url)
        assert ran.returncode == 0, ran.stderr
        cls.events = {
            event["exception"]["values"][-1]["type"]: event for event in cls.sentry.events()
        }

    def test_the_web_and_the_workers_tell_of_their_errors(self) -> None:
        self.assertLessEqual({"RuntimeError", "LookupError"}, set(self.events))

    def test_an_error_says_where_and_in_which_request(self) -> None:
        event = self.events["RuntimeError"]
        frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
        self.assertEqual(frames[-1]["function"], "fail_in_view")
        self.assertRegex(event["tags"]["request"], r"\A[0-9a-f]{32}\Z")
        self.assertEqual(event["request"]["method"], "POST")
        self.assertEqual(event["environment"], "development")

    def test_nothing_private_goes_out(self) -> None:
        self.assertTrue(self.sentry.received)
        for body in self.sentry.received:
            self.assertNotIn(_SECRET.encode(), body)

    def test_no_local_variable_body_or_caller_goes_out(self) -> None:
        for event in self.sentry.events():
            for value in event["exception"]["values"]:
                for frame in value.get("stacktrace", {}).get("frames", []):
                    self.assertNotIn("vars", frame)
            request = event.get("request", {})
            self.assertLessEqual(set(request), {"url", "method", "headers"})
            headers = {name.lower() for name in request.get("headers", {})}
            self.assertLessEqual(headers, {"content-type", "content-length", "host", "user-agent"})
            self.assertNotIn("user", event)
            self.assertNotIn("extra", event)

    def test_without_a_dsn_its_library_is_not_even_imported(self) -> None:
        code = "import sys, backend.wsgi, backend.urls; print('sentry_sdk' in sys.modules)"
        self.assertEqual(_run(code, FACES_SENTRY_DSN="").stdout.strip(), "False")


def _run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    proxies = {f"{kind}_proxy": "" for kind in ("http", "https", "all")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=environment.ROOT,
        env={
            **os.environ,
            **proxies,
            **{name.upper(): value for name, value in proxies.items()},
            "DJANGO_SETTINGS_MODULE": "backend.settings",
            "DJANGO_ALLOWED_HOSTS": "testserver",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
