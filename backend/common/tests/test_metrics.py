"""Counting, and the page that shows it."""

import re
import socket
import time
from datetime import timedelta
from typing import Any
from unittest import mock

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings
from django.utils import timezone
from django.utils.module_loading import import_string
from prometheus_client.parser import text_string_to_metric_families

from backend.analysis.metrics import ENGINE
from backend.clients.keys import create_key
from backend.clients.models import ANONYMOUS_ID, Client
from backend.common import redis_clients
from backend.common.metrics import exposition, middleware, registry
from backend.submissions import services, tasks
from backend.submissions.models import Submission
from tests.support import image_factories, photographs
from wire import environment
from wire import metrics as wire

OBAMA = photographs.read("obama.jpg")


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the page, read by Prometheus's own library."""
    families = text_string_to_metric_families(page.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(name: str, **labels: str) -> float | None:
    return samples(exposition.render()).get((name, tuple(sorted(labels.items()))))


def counted_requests() -> set[tuple[str, str, str]]:
    found = samples(exposition.render())
    label_sets = [
        dict(labels)
        for name, labels in found
        if name == "faces_http_request_duration_seconds_count"
    ]
    return {(labels["view"], labels["method"], labels["status"]) for labels in label_sets}


class EmptyRedis:
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        registry._Away.until = 0.0


class CountingTests(EmptyRedis, SimpleTestCase):
    def test_counts_add_up(self) -> None:
        registry.count(registry.EVENTS_SENT)
        registry.count(registry.EVENTS_SENT, 4)
        stored: Any = redis_clients.default().hgetall(wire.HASH)
        self.assertEqual(stored, {"faces_ws_events_sent_total": "5"})

    def test_a_duration_is_counted_in_its_bucket_and_the_sum(self) -> None:
        labels = {"view": "image", "method": "POST", "status": "202"}
        for seconds in (0.004, 0.005, 0.2, 7200.0):
            registry.observe(middleware.REQUESTS, seconds, **labels)
        stored: Any = redis_clients.default().hgetall(wire.HASH)
        bounds = {field.rpartition("le=")[2]: int(number) for field, number in stored.items()}
        self.assertEqual(bounds, {"0.005": 2, "0.25": 1, "+Inf": 1, "sum_us": 7_200_209_000})

    def test_a_block_is_timed_also_when_it_fails(self) -> None:
        labels = {"view": "image", "method": "POST", "status": "500"}
        with self.assertRaises(ValueError), registry.timed(middleware.REQUESTS, **labels):
            raise ValueError
        self.assertEqual(redis_clients.default().hlen(wire.HASH), 2)

    def test_a_batch_is_one_round_trip(self) -> None:
        client = redis_clients.best_effort()
        with mock.patch.object(client, "execute_command", wraps=client.execute_command) as asked:
            with registry.batch():
                for _ in range(10):
                    registry.count(registry.EVENTS_SENT)
                    registry.count(registry.SLOW_CONSUMERS)
            self.assertEqual(asked.call_count, 1)
            with registry.batch():
                pass
            self.assertEqual(asked.call_count, 1)
        self.assertEqual(redis_clients.default().hget(wire.HASH, registry.EVENTS_SENT), "10")

    def test_a_field_is_read_back_as_it_was_made(self) -> None:
        labels = {"view": "image", "status": "200"}
        self.assertEqual(wire.parse_field(wire.field("a_total", labels)), ("a_total", labels))
        with self.assertRaises(ValueError):
            wire.parse_field("a_total|nonsense")


class RedisAwayTests(SimpleTestCase):
    def setUp(self) -> None:
        registry._Away.until = 0.0
        self.addCleanup(setattr, registry._Away, "until", 0.0)
        redis_clients.best_effort.cache_clear()
        self.addCleanup(redis_clients.best_effort.cache_clear)

    @override_settings(CACHE_BACKEND_URL="redis://127.0.0.1:1/0")
    def test_without_redis_nothing_is_counted_and_nothing_fails(self) -> None:
        with self.assertLogs("backend.common.metrics.registry", "DEBUG"):
            registry.count(registry.EVENTS_SENT)

    def test_a_redis_that_hangs_costs_a_moment_once(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            port = deaf.getsockname()[1]
            with override_settings(CACHE_BACKEND_URL=f"redis://127.0.0.1:{port}/0"):
                started = time.monotonic()
                for _ in range(100):
                    registry.count(registry.EVENTS_SENT)
                took_s = time.monotonic() - started
        self.assertLess(took_s, 10)  # a hundred waits would take longer


class RequestTests(EmptyRedis, TestCase):
    def test_a_request_is_counted_by_view_method_and_status(self) -> None:
        self.client.post("/image/")
        self.client.put("/image")
        self.assertEqual(counted_requests(), {("image", "POST", "400"), ("image", "PUT", "405")})

    def test_what_callers_make_up_makes_no_new_series(self) -> None:
        for path in ("/nowhere", "/else/where", "/x?token=abc"):
            self.client.generic("BREW", path)
        self.assertEqual(counted_requests(), {("none", "other", "404")})

    def test_the_health_check_is_not_counted_and_asks_redis_nothing(self) -> None:
        with mock.patch.object(redis_clients, "best_effort", side_effect=AssertionError):
            for path in ("/healthcheck", "/healthcheck/"):
                self.assertEqual(self.client.get(path).status_code, 200)

    def test_a_request_makes_one_round_trip_for_its_metrics(self) -> None:
        client = redis_clients.best_effort()
        with mock.patch.object(client, "execute_command", wraps=client.execute_command) as asked:
            file = ContentFile(
                image_factories.encoded(image_factories.faceless(), "PNG"), name="a.png"
            )
            self.assertEqual(self.client.post("/image/", {"image": file}).status_code, 202)
        self.assertEqual(asked.call_count, 1)


class PageTests(EmptyRedis, TransactionTestCase):
    def submit(self, data: bytes = OBAMA) -> Submission:
        return services.accept(ContentFile(data, name="a.jpg"), owner_id=ANONYMOUS_ID)

    def test_it_is_the_text_of_prometheus_with_and_without_the_slash(self) -> None:
        for path in ("/metrics", "/metrics/"):
            answer = self.client.get(path, headers={"accept": "text/plain"})
            self.assertEqual(answer.status_code, 200)
            self.assertEqual(answer["Content-Type"].partition(";")[0], "text/plain")
            self.assertIn(b"# TYPE faces_http_request_duration_seconds histogram", answer.content)

    def test_what_waits_and_since_when_is_told_from_the_rows(self) -> None:
        self.submit()
        waits_since = timezone.now() - timedelta(seconds=100)
        Submission.objects.update(due_at=waits_since)
        labels = {"kind": "submission", "queue": "uploads"}
        self.assertEqual(value("faces_queue_depth", **labels), 1)
        self.assertAlmostEqual(
            value("faces_queue_oldest_age_seconds", **labels) or 0, 130, delta=30
        )
        self.assertEqual(value("faces_redis_jobs_waiting", queue="uploads"), 1)
        self.assertEqual(value("faces_redis_jobs_waiting", queue="interactive"), 0)
        oldest_s = value("faces_redis_oldest_job_seconds", queue="uploads")
        assert oldest_s is not None
        self.assertLess(oldest_s, 60)

    def test_uploads_jobs_faces_and_stages_are_told(self) -> None:
        tasks.process(str(self.submit().pk))
        tasks.process(str(self.submit(image_factories.encoded(image_factories.faceless())).pk))
        tasks.process(str(self.submit(b"no image").pk))
        kind = {"kind": "submission"}
        for outcome in ("done", "no_faces", "failed"):
            self.assertEqual(value("faces_jobs_total", outcome=outcome, **kind), 1, outcome)
        self.assertEqual(value("faces_job_wait_seconds_count", **kind), 3)
        self.assertEqual(value("faces_job_duration_seconds_count", **kind), 2)
        for stage, times in (("detect_encode", 2), ("draw", 1)):
            self.assertEqual(value("faces_engine_seconds_count", stage=stage), times, stage)
        self.assertEqual(value("faces_detected_total"), 1)
        self.assertEqual(value("faces_uploads_total"), 3)
        stored = value("faces_stored_bytes")
        self.assertEqual(stored, value("faces_upload_bytes_total"))
        self.assertGreater(stored or 0, len(OBAMA))

    def test_an_attempt_that_is_tried_again_is_told(self) -> None:
        submission = self.submit()
        with mock.patch("backend.analysis.services.analyse", side_effect=OSError("disk")):
            tasks.process(str(submission.pk))
        self.assertEqual(value("faces_jobs_total", kind="submission", outcome="retried"), 1)

    def test_the_buckets_are_cumulative_and_the_sum_is_in_seconds(self) -> None:
        for seconds in (0.02, 0.2, 4000.0):
            registry.observe(ENGINE, seconds, stage="detect_encode")
        buckets = {
            bound: value("faces_engine_seconds_bucket", stage="detect_encode", le=bound)
            for bound in ("0.01", "0.025", "0.25", "+Inf")
        }
        self.assertEqual(buckets, {"0.01": 0, "0.025": 1, "0.25": 2, "+Inf": 3})
        self.assertEqual(value("faces_engine_seconds_sum", stage="detect_encode"), 4000.22)

    def test_listeners_are_told_of_the_servers_that_live(self) -> None:
        client = redis_clients.default()
        client.sadd(wire.SERVERS, "a", "b", "dead")
        client.set(wire.SERVER.format(instance="a"), 3)
        client.set(wire.SERVER.format(instance="b"), 4)
        self.assertEqual(value("faces_ws_connections"), 7)
        self.assertEqual(value("faces_websocket_servers"), 2)

    def test_without_redis_the_rows_are_told_all_the_same(self) -> None:
        self.submit()
        with mock.patch.object(redis_clients, "default", side_effect=redis.ConnectionError):
            answer = self.client.get("/metrics")
        found = samples(answer.content)
        self.assertEqual(found["faces_redis_up", ()], 0)
        labels = (("kind", "submission"), ("queue", "uploads"))
        self.assertEqual(found["faces_queue_depth", labels], 1)

    def test_what_nobody_declares_any_more_is_left_out(self) -> None:
        redis_clients.default().hset(wire.HASH, "faces_old_total|a=b", 1)
        redis_clients.default().hset(wire.HASH, "faces_uploads_total|a=b", 1)
        self.assertNotIn(b'a="b"', exposition.render())

    @override_settings(FACES_REQUIRE_API_KEY=True)
    def test_where_keys_are_needed_it_takes_one_of_whoever_runs_the_service(self) -> None:
        client = Client.objects.create(name="alice")
        for scopes, status in ((["read", "upload", "admin"], 403), (["operate"], 200)):
            _, key = create_key(client, name="k", scopes=scopes, actor="test")
            answer = self.client.get("/metrics", headers={"x-api-key": key})
            self.assertEqual(answer.status_code, status)
        self.assertEqual(self.client.get("/metrics").status_code, 401)
        self.assertEqual(list(self.client.get("/metrics").json()), ["detail"])


class DocumentationTests(SimpleTestCase):
    def test_the_page_lists_every_metric_as_it_is_declared(self) -> None:
        for source in settings.METRICS_SOURCES:
            import_string(source)
        rows = {
            f"| `{metric.name}` | {metric.kind} | {_listed(metric.labels)} | {metric.help} |"
            for metric in registry.DECLARED.values()
        }
        text = (environment.ROOT / "docs" / "metrics.md").read_text()
        documented = {line for line in text.splitlines() if re.match(r"\| `faces_\w+` \|", line)}
        self.assertEqual(documented, rows)

    def test_every_metric_is_named_as_prometheus_wants_it(self) -> None:
        for metric in registry.DECLARED.values():
            with self.subTest(metric.name):
                self.assertRegex(metric.name, r"\Afaces_[a-z_]+\Z")
                counted = metric.kind is registry.Kind.COUNTER
                self.assertEqual(metric.name.endswith("_total"), counted)


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(f"`{label}`" for label in labels) or "–"
