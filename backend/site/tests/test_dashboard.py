"""The dashboard: who sees it, what it says, and what it asks the database."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import redis
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, TransactionTestCase, override_settings
from django.utils import timezone

from backend.clients.models import ANONYMOUS_ID, AuditEntry, Scope
from backend.clients.tests import factories
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.common.metrics import registry
from backend.site.dashboard import latency, snapshot, workers
from backend.submissions.models import Submission

_NUMBERS = "/dashboard/numbers"


def row(**values: Any) -> Submission:
    """A submission that is done, as it lies in the database."""
    id, now = uuid.uuid4(), timezone.now()
    ended = values.get("status", Status.DONE) in (Status.DONE, Status.FAILED)
    defaults = {
        "owner_id": ANONYMOUS_ID,
        "status": Status.DONE,
        "processed_at": now if ended else None,
        "image": f"originals/aa/bb/{id}.jpg",
        "sha256": id.hex * 2,
        "size_bytes": 1000,
        "event_id": "1-0",
    }
    return Submission.objects.create(id=id, **{**defaults, **values})


class DashboardCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.client.force_login(User.objects.create_superuser("olga"))

    def numbers(self) -> Any:
        snapshot.clear_cache()
        answer = self.client.get(_NUMBERS)
        self.assertEqual(answer.status_code, 200)
        return answer.json()

    def retry(self, submission: Submission, **changes: str) -> Any:
        return self.client.post(
            "/dashboard/retry", {"kind": "submission", "id": str(submission.pk), **changes}
        )


class DoorTests(DashboardCase):
    def test_without_a_session_it_redirects_to_the_login_and_refuses_numbers(self) -> None:
        page = Client().get("/dashboard/")
        self.assertEqual(page.status_code, 302)
        self.assertEqual(page["Location"], "/admin/login/?next=/dashboard/")
        for path in (_NUMBERS, "/dashboard/retry"):
            answer = Client().post(path) if path.endswith("retry") else Client().get(path)
            self.assertEqual(answer.status_code, 403)
            self.assertEqual(list(answer.json()), ["detail"])

    def test_it_is_refused_to_users_who_are_not_staff(self) -> None:
        self.client.force_login(User.objects.create_user("mallory"))
        self.assertEqual(self.client.get("/dashboard/").status_code, 403)
        self.assertEqual(self.client.get(_NUMBERS).status_code, 403)
        self.assertEqual(self.retry(row(status=Status.FAILED)).status_code, 403)

    def test_staff_see_it_and_retry_with_the_permission_to_change_submissions(self) -> None:
        clerk = User.objects.create_user("clerk", is_staff=True)
        self.client.force_login(clerk)
        failed = row(status=Status.FAILED)
        for path in ("/dashboard", "/dashboard/"):
            page = self.client.get(path)
            self.assertEqual(page.status_code, 200)
            self.assertNotContains(page, "data-may-retry")
        self.assertEqual(self.client.get(_NUMBERS).status_code, 200)
        self.assertEqual(self.retry(failed).status_code, 403)
        clerk.user_permissions.add(Permission.objects.get(codename="change_submission"))
        self.assertContains(self.client.get("/dashboard/"), "data-may-retry")
        self.assertEqual(self.retry(failed).status_code, 200)

    def test_a_key_needs_the_scope_operate_and_reads_the_numbers_alone(self) -> None:
        for scopes, status in (([Scope.OPERATE], 200), ([Scope.READ, Scope.ADMIN], 403)):
            headers = factories.headers("alice", scopes)
            self.assertEqual(Client().get(_NUMBERS, headers=headers).status_code, status)
            self.assertEqual(Client().post("/dashboard/retry", headers=headers).status_code, 403)
        with override_settings(FACES_REQUIRE_API_KEY=True):
            self.assertEqual(Client().get(_NUMBERS).status_code, 403)

    def test_another_sites_form_tries_nothing_again(self) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(User.objects.get())
        failed = row(status=Status.FAILED)
        data = {"kind": "submission", "id": str(failed.pk)}
        self.assertEqual(browser.post("/dashboard/retry", data).status_code, 403)
        failed.refresh_from_db()
        self.assertEqual(failed.status, Status.FAILED)

    def test_neither_page_nor_numbers_are_kept_by_caches(self) -> None:
        for path in ("/dashboard/", _NUMBERS):
            self.assertIn("no-store", self.client.get(path)["Cache-Control"])


class NumberTests(DashboardCase):
    def test_waiting_rows_are_counted_with_the_age_of_the_oldest(self) -> None:
        row(status=Status.QUEUED, due_at=timezone.now() - timedelta(seconds=90))
        row(status=Status.QUEUED)
        (uploads,) = [each for each in self.numbers()["queues"] if each["kind"] == "submission"]
        self.assertEqual((uploads["waiting"], uploads["in_work"]), (2, 0))
        self.assertGreaterEqual(uploads["oldest_s"], 90)

    def test_ended_rows_are_counted_by_the_minute_for_an_hour(self) -> None:
        now = datetime(2026, 1, 2, 3, 4, 30, tzinfo=UTC)
        for seconds in (0, 10, 31, 70, 59 * 60, 2 * 3600):
            row(processed_at=now - timedelta(seconds=seconds), status=Status.DONE)
        row(processed_at=now, status=Status.FAILED)
        minutes = snapshot.minutes(now)
        self.assertEqual(len(minutes), 60)
        self.assertEqual((minutes[0]["at"], minutes[-1]["at"]), ("02:05", "03:04"))
        found = {each["at"]: each["ended"] for each in minutes if each["ended"]}
        self.assertEqual(found, {"03:04": 3, "03:03": 2, "02:05": 1})

    def test_failures_come_newest_first_with_their_reason(self) -> None:
        now = timezone.now()
        for number in range(25):
            moment = now - timedelta(minutes=number)
            row(status=Status.FAILED, processed_at=moment, reason=f"reason {number}", attempts=3)
        failures = self.numbers()["failures"]
        self.assertEqual([each["reason"] for each in failures], [f"reason {n}" for n in range(20)])
        self.assertEqual(failures[0]["attempts"], 3)

    def test_stages_come_from_the_histograms(self) -> None:
        # A test before may have had no Redis: then nothing is counted for a while.
        self.enterContext(mock.patch.object(registry._Away, "until", 0.0))
        for seconds in (0.2, 0.2, 0.2, 4.0):
            registry.observe("faces_engine_seconds", seconds, stage="detect_encode")
        (find,) = [each for each in self.numbers()["stages"] if each["name"] == "finding the faces"]
        self.assertEqual((find["count"], find["mean_s"]), (4, 1.15))
        self.assertTrue(0.1 < find["median_s"] <= 0.25)
        self.assertTrue(2.5 < find["p95_s"] <= 5)

    def test_a_share_is_found_within_its_bucket_in_proportion(self) -> None:
        self.assertEqual(latency.quantile({"1": 10}, 0.5), 0.75)
        self.assertEqual(latency.quantile({"0.005": 1}, 1.0), 0.005)
        self.assertEqual(latency.quantile({"+Inf": 1}, 0.5), 1800)
        self.assertIsNone(latency.quantile({}, 0.5))

    def test_storage_is_in_bytes(self) -> None:
        room = self.numbers()["room"]
        self.assertEqual(room["uploads"], 0)
        self.assertGreater(room["database"], 1000)
        self.assertGreater(room["redis"], 1000)
        self.assertTrue(0 < room["free"] <= room["disk"])

    def test_without_redis_the_numbers_of_rows_remain(self) -> None:
        row(status=Status.FAILED, reason="broken")
        with (
            mock.patch.object(
                redis_clients.default(), "execute_command", side_effect=redis.ConnectionError
            ),
            mock.patch.object(redis_clients.default(), "info", side_effect=redis.ConnectionError),
            mock.patch.object(redis_clients.default(), "ping", side_effect=redis.ConnectionError),
            mock.patch("backend.common.jobs.workers.living", side_effect=redis.ConnectionError),
        ):
            numbers = self.numbers()
        self.assertFalse(numbers["redis"])
        self.assertEqual((numbers["workers"], numbers["room"]["redis"]), ([], None))
        self.assertEqual(numbers["failures"][0]["reason"], "broken")

    def test_many_viewers_cost_one_query(self) -> None:
        self.numbers()
        with mock.patch.object(snapshot, "_numbers") as ask:
            self.assertEqual(self.client.get(_NUMBERS).status_code, 200)
        ask.assert_not_called()


class RetryTests(DashboardCase):
    def test_a_failed_one_is_tried_again_and_it_is_noted(self) -> None:
        failed = row(status=Status.FAILED, reason="broken", attempts=11)
        self.assertEqual(self.retry(failed).json(), {"retried": str(failed.pk)})
        failed.refresh_from_db()
        self.assertEqual((failed.status, failed.attempts), (Status.QUEUED, 0))
        self.assertIn(failed.job_id, queues.waiting(queues.UPLOADS))
        entry = AuditEntry.objects.get()
        expected = ("admin olga", "retry submission", f"submission {failed.pk}")
        self.assertEqual((entry.actor, entry.action, entry.subject), expected)
        self.assertEqual(self.client.get(_NUMBERS).json()["failures"], [])

    def test_a_row_that_has_not_failed_is_unchanged(self) -> None:
        self.assertEqual(self.retry(row()).status_code, 409)
        self.assertFalse(AuditEntry.objects.exists())

    def test_an_unknown_row_is_404(self) -> None:
        failed = row(status=Status.FAILED)
        for changes in ({"kind": "user"}, {"id": "7"}, {"id": str(uuid.uuid4())}, {"kind": ""}):
            answer = self.retry(failed, **changes)
            self.assertEqual(answer.status_code, 404, changes)
            self.assertEqual(list(answer.json()), ["detail"])

    def test_without_redis_it_is_503_and_it_stays_failed(self) -> None:
        failed = row(status=Status.FAILED)
        with mock.patch("backend.submissions.events.erase", side_effect=redis.ConnectionError):
            answer = self.retry(failed)
        self.assertEqual((answer.status_code, answer["Retry-After"]), (503, "5"))


class PlanTests(TransactionTestCase):
    """What is asked every few seconds reads an index, however many rows there are."""

    def plan(self, rows: Any) -> str:
        self.fill()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE submissions_submission")
        return str(rows.explain())

    def fill(self) -> None:
        """So many that no database reads them all for speed."""
        if Submission.objects.exists():
            return
        old = timezone.now() - timedelta(days=3)
        Submission.objects.bulk_create(
            Submission(
                owner_id=ANONYMOUS_ID,
                status=Status.DONE,
                processed_at=old - timedelta(minutes=number),
                image="x",
                sha256=f"{number:064}",
                size_bytes=1,
                event_id="1-0",
            )
            for number in range(3000)
        )

    def test_each_kind_is_read_from_an_index(self) -> None:
        now = timezone.now()
        waiting = Submission.objects.filter(status=Status.QUEUED).order_by()
        for rows, index in (
            (snapshot.newest_failed(Submission), "submission_failed"),
            (
                snapshot.ended_since(Submission, now - timedelta(hours=1)),
                "submission_processed",
            ),
            # PostgreSQL may take the other one, which holds nothing but rows in work either.
            (workers.held(Submission), "submission_in_work|submission_pending"),
            (waiting.values("due_at"), "submission_due|submission_pending|submission_turns"),
        ):
            with self.subTest(index):
                plan = self.plan(rows)
                self.assertRegex(plan, index)
                self.assertNotIn("Seq Scan", plan)
                self.assertNotIn("SCAN submissions_submission\n", plan + "\n")
