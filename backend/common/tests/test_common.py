"""Checks, processes, log lines and the error shape."""

import logging
import subprocess
import sys
from typing import Any
from unittest import mock

import redis
from django.core import checks
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import SystemCheckError
from django.db import OperationalError
from django.test import Client, SimpleTestCase, TestCase, override_settings

from backend.clients.models import ANONYMOUS_ID
from backend.clients.models import Client as Owner
from backend.common import redis_clients
from backend.common.checks import SETTINGS
from backend.common.jobs import process_identity
from backend.common.observability import logs
from backend.submissions import services
from backend.submissions.models import Submission
from wire.release import VERSION


class ProductionCheckTests(SimpleTestCase):
    def ids(self) -> set[str]:
        return {str(message.id) for message in checks.run_checks() if message.level >= checks.ERROR}

    def test_a_path_that_the_api_uses_is_no_place_for_the_service(self) -> None:
        for path in ("/image", "/api/faces", "/static", "/assets", "/admin", "/members"):
            with self.settings(FACES_BASE_PATH=path):
                self.assertEqual(self.ids(), {"faces.E022"}, path)
        for path in ("", "/faces", "/faces-app", "/images"):
            with self.settings(FACES_BASE_PATH=path):
                self.assertEqual(self.ids(), set(), path)

    @override_settings(
        ENVIRONMENT="production",
        SECRET_KEY="insecure-x",
        SECRET_KEY_FALLBACKS=["insecure-y"],
        DEBUG=True,
        ALLOWED_HOSTS=["*"],
    )
    def test_what_is_unsafe_is_refused_in_production(self) -> None:
        self.assertIn("faces.E020", self.ids(), "whether there is a proxy is not said")
        unsafe = {f"faces.{id}" for id in ("E001", "E002", "E003", "E004", "E021", "E023")}
        self.assertLessEqual(unsafe, self.ids())

    @override_settings(SECRET_KEY="insecure-x", DEBUG=True, ALLOWED_HOSTS=["*"])
    def test_a_laptop_may_do_as_it_likes(self) -> None:
        self.assertEqual(self.ids(), set())

    @override_settings(
        ENVIRONMENT="production",
        SECRET_KEY="k" * 50,
        DEBUG=False,
        ALLOWED_HOSTS=["faces.example"],
        SERVICE_URL="https://faces.example",
        FACES_REQUIRE_API_KEY=True,
    )
    def test_a_safe_production_passes(self) -> None:
        for proxies in ("none", "127.0.0.1, 10.0.0.0/8"):
            with self.settings(FACES_TRUSTED_PROXIES=proxies):
                self.assertEqual(self.ids(), set())


class CommandCheckTests(SimpleTestCase):
    def test_every_command_of_ours_looks_at_the_settings_alone(self) -> None:
        ours = [name for name, app in get_commands().items() if app.startswith("backend.")]
        self.assertIn("work", ours)
        for name in ours:
            command = load_command_class(get_commands()[name], name)
            self.assertEqual(list(command.requires_system_checks), [SETTINGS], name)
        every = checks.registry.registry.get_checks()
        tagged = {each for each in every if SETTINGS in each.tags}
        self.assertEqual(tagged, {each for each in every if each.__module__.startswith("backend.")})

    @override_settings(ENVIRONMENT="production", SECRET_KEY="insecure-x")
    def test_unsafe_settings_are_refused_to_a_command(self) -> None:
        with self.assertRaisesRegex(SystemCheckError, r"faces\.E001"):
            call_command("revoke_api_key", "nothing", skip_checks=False)


class StrictTransportTests(TestCase):
    """Browsers that were here by https come back by https alone (RFC 6797)."""

    PATHS = ("/healthcheck", "/", "/members/login", "/admin/login/", "/nowhere", "/image/")

    def headers(self) -> set[str | None]:
        answers = (self.client.get(path) for path in self.PATHS)
        return {answer.headers.get("Strict-Transport-Security") for answer in answers}

    def test_every_answer_of_a_service_with_tls_says_so(self) -> None:
        with override_settings(SERVICE_URL="https://faces.example"):
            self.assertEqual(self.headers(), {"max-age=31536000"})

    def test_without_tls_or_with_zero_seconds_none_does(self) -> None:
        self.assertEqual(self.headers(), {None})
        with override_settings(SERVICE_URL="https://faces.example", FACES_HSTS_SECONDS=0):
            self.assertEqual(self.headers(), {None})


class ProcessTests(SimpleTestCase):
    def test_a_process_that_runs_is_not_gone(self) -> None:
        self.assertFalse(process_identity.is_gone(process_identity.identity()))

    def test_a_process_that_ended_is_gone_also_before_its_parent_noticed(self) -> None:
        code = (
            "from backend.common.jobs import process_identity; print(process_identity.identity())"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as ended:
            assert ended.stdout is not None
            holder = ended.stdout.read().decode().strip()  # until it closes its output, at its end
            deadline_polls = 500
            while not process_identity.is_gone(holder) and deadline_polls:
                deadline_polls -= 1
            self.assertTrue(process_identity.is_gone(holder))

    def test_another_process_with_the_same_number_does_not_hide_its_end(self) -> None:
        machine, _, started = process_identity.identity().rpartition("/")
        self.assertTrue(process_identity.is_gone(f"{machine}/{int(started) - 1}"))

    def test_of_a_process_elsewhere_nothing_is_known(self) -> None:
        for holder in ("elsewhere/pid:[1]/1/1", "", "nonsense", "a/b/c"):
            with self.subTest(holder):
                self.assertFalse(process_identity.is_gone(holder))


class HealthTests(TestCase):
    def test_alive_is_ok_in_plain_text(self) -> None:
        answer = self.client.get("/healthcheck")
        self.assertEqual((answer.status_code, answer.content), (200, b"OK"))

    def test_readiness_names_what_is_missing(self) -> None:
        with mock.patch.object(redis_clients, "default", side_effect=redis.ConnectionError):
            answer = self.client.get("/readiness/")
        self.assertEqual(answer.status_code, 503)
        expected = {"ready": False, "database": "ok", "redis": "missing", "worker": "missing"}
        expected |= {"storage": "ok", "detector": "hog", "version": VERSION}
        self.assertEqual(answer.json(), expected)


class ErrorShapeTests(TestCase):
    def test_unknown_paths_and_methods_answer_in_json(self) -> None:
        for method, path, status in (
            ("get", "/nowhere", 404),
            ("put", "/image/", 405),
            ("delete", "/image", 405),
            ("post", "/healthcheck/", 405),
            ("delete", "/readiness", 405),
            ("get", "/image/00000000-0000-0000-0000-000000000000/", 404),
            ("get", "/image/not-an-id/", 404),
        ):
            with self.subTest(f"{method} {path}"):
                answer = getattr(Client(enforce_csrf_checks=True), method)(path)
                self.assertEqual((answer.status_code, list(answer.json())), (status, ["detail"]))

    def test_a_foreign_host_name_is_refused_in_json(self) -> None:
        answer = self.client.get("/image/", headers={"host": "evil.example"})
        self.assertEqual((answer.status_code, list(answer.json())), (400, ["detail"]))

    def test_a_fault_of_ours_carries_no_traceback(self) -> None:
        client = Client(raise_request_exception=False)
        with mock.patch("backend.submissions.views.UploadSerializer", side_effect=ValueError("x")):
            answer = client.post("/image/")
        self.assertEqual((answer.status_code, list(answer.json())), (500, ["detail"]))
        self.assertNotIn("ValueError", answer.content.decode())

    def test_a_database_that_is_busy_or_full_asks_to_try_again(self) -> None:
        from django.core.files.uploadedfile import SimpleUploadedFile

        from tests.support import image_factories

        file = SimpleUploadedFile(
            "a.png", image_factories.encoded(image_factories.faceless(), "PNG")
        )
        with mock.patch.object(services, "accept", side_effect=OperationalError("locked")):
            answer = self.client.post("/image/", {"image": file})
        self.assertEqual(answer.status_code, 503)
        self.assertEqual(answer["Retry-After"], "5")

    def test_what_needs_redis_asks_to_try_again_while_it_is_away(self) -> None:
        owner = Owner.objects.get(pk=ANONYMOUS_ID)
        row = Submission.objects.create(owner=owner, sha256="0" * 64, size_bytes=1)
        with mock.patch.object(services, "erase", side_effect=redis.ConnectionError):
            answer = self.client.delete(f"/image/{row.pk}/")
        self.assertEqual((answer.status_code, list(answer.json())), (503, ["detail"]))
        self.assertEqual(answer["Retry-After"], "5")


class RequestIdTests(SimpleTestCase):
    def record_during(self, given: str) -> tuple[str, str]:
        record = logging.LogRecord("name", logging.INFO, "", 0, "text", None, None)

        def respond(request: Any) -> Any:
            logs.ContextFilter().filter(record)
            return {}

        request: Any = mock.Mock(headers={"X-Request-ID": given})
        response: Any = logs.RequestIdMiddleware(respond)(request)
        return getattr(record, "request_id", ""), response["X-Request-ID"]

    def test_a_line_written_during_a_request_names_it(self) -> None:
        self.assertEqual(self.record_during("abc-12345"), ("abc-12345", "abc-12345"))

    def test_an_id_that_could_forge_a_line_is_replaced(self) -> None:
        for hostile in ("", "a\nINFO forged", "x" * 65, "short", "ünïcödé-id"):
            with self.subTest(hostile):
                self.assertRegex(self.record_during(hostile)[1], r"\A[0-9a-f]{32}\Z")

    def test_a_line_written_outside_names_none(self) -> None:
        record: Any = logging.LogRecord("name", logging.INFO, "", 0, "text", None, None)
        logs.ContextFilter().filter(record)
        self.assertEqual(record.request_id, "")
