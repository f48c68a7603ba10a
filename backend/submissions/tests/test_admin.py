"""Submissions in the admin."""

import uuid
from datetime import timedelta
from typing import Any, ClassVar
from unittest import mock

import redis
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from backend.analysis.services import AnalysisError
from backend.clients.auth import signed_urls
from backend.clients.models import ANONYMOUS_ID, AuditEntry, Client
from backend.common import redis_clients
from backend.common.jobs import queues
from backend.common.jobs.models import Status
from backend.submissions import events, services, tasks
from backend.submissions.models import Submission
from tests.support import image_factories, photographs

_PAGE = "/admin/submissions/submission/"


def row(**values: Any) -> Submission:
    """A submission that is done, of 1.5 seconds."""
    id, now = uuid.uuid4(), timezone.now()
    defaults = {
        "owner_id": ANONYMOUS_ID,
        "status": Status.DONE,
        "created_at": now - timedelta(seconds=1.5),
        "processed_at": now,
        "image": f"originals/aa/bb/{id}.jpg",
        "result": f"processed_faces/aa/bb/{id}.jpg",
        "sha256": id.hex * 2,
        "size_bytes": 1000,
        "faces_count": 2,
        "event_id": "1-0",
    }
    return Submission.objects.create(id=id, **{**defaults, **values})


class ListTests(TestCase):
    user: ClassVar[User]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = User.objects.create_superuser("olga")

    def setUp(self) -> None:
        self.client.force_login(self.user)

    def found(self, query: str) -> set[Submission]:
        return set(self.client.get(f"{_PAGE}?{query}").context["cl"].queryset)

    def test_it_shows_what_became_of_each(self) -> None:
        submission = row(reason="", attempts=3)
        page = self.client.get(_PAGE)
        self.assertContains(page, "anonymous")
        self.assertContains(page, "1.5")
        self.assertContains(page, f'<img src="/static/processed_faces/aa/bb/{submission.pk}.jpg?')
        self.assertContains(page, "signature=")

    def test_the_thumbnail_opens_by_its_signature(self) -> None:
        submission = row()
        address = (
            signed_urls.signed(submission.result.url).partition("/static/")[2].replace("&", "&amp;")
        )
        self.assertContains(self.client.get(_PAGE), address)

    def test_it_finds_by_the_beginning_of_an_id_or_a_hash(self) -> None:
        wanted, other = row(sha256="ab" * 32), row(sha256="cd" * 32)
        for text in (str(wanted.pk), str(wanted.pk)[:13], wanted.pk.hex[:10], "abab"):
            with self.subTest(text):
                self.assertEqual(self.found(f"q={text}"), {wanted})
        self.assertEqual(self.found(""), {wanted, other})

    def test_it_filters_by_status_owner_and_date(self) -> None:
        alice = Client.objects.create(name="alice")
        done, failed = row(), row(status=Status.FAILED, owner_id=alice.pk, result="")
        self.assertEqual(self.found("status__exact=failed"), {failed})
        self.assertEqual(self.found(f"owner__id__exact={alice.pk}"), {failed})
        tomorrow = (timezone.now() + timedelta(days=1)).date()
        self.assertEqual(self.found(f"created_at__gte={tomorrow}"), set())
        self.assertEqual(self.found(f"created_at__lt={tomorrow}"), {done, failed})

    def test_the_list_costs_no_query_a_row(self) -> None:
        row()
        with self.assertNumQueries(5):
            self.client.get(_PAGE)
        for number in range(19):
            row(owner_id=Client.objects.create(name=f"client {number}").pk)
        with self.assertNumQueries(5):
            self.client.get(_PAGE)

    def test_nothing_of_it_can_be_changed_or_deleted_by_hand(self) -> None:
        submission = row()
        self.assertEqual(self.client.get(f"{_PAGE}{submission.pk}/change/").status_code, 200)
        for path in (f"{submission.pk}/change/", f"{submission.pk}/delete/", "add/"):
            self.assertEqual(self.client.post(_PAGE + path, {"reason": "x"}).status_code, 403, path)

    def test_who_may_only_look_has_no_actions(self) -> None:
        from django.contrib.auth.models import Permission

        clerk = User.objects.create_user("clerk", is_staff=True)
        clerk.user_permissions.add(Permission.objects.get(codename="view_submission"))
        self.client.force_login(clerk)
        submission = row(status=Status.FAILED)
        self.client.post(_PAGE, {"action": "retry", "_selected_action": [submission.pk]})
        submission.refresh_from_db()
        self.assertEqual(submission.status, Status.FAILED)


class ActionTests(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.client.force_login(User.objects.create_superuser("olga"))

    def act(self, action: str, *submissions: Submission, **more: str) -> Any:
        chosen = [str(submission.pk) for submission in submissions]
        data = {"action": action, "_selected_action": chosen, **more}
        return self.client.post(_PAGE, data, follow=True)

    def noted(self) -> list[tuple[str, str]]:
        rows = AuditEntry.objects.filter(actor="admin olga").order_by("at", "pk")
        return list(rows.values_list("action", "subject"))

    def failed(self) -> Submission:
        picture = ContentFile(photographs.read("obama.jpg"), name="a.jpg")
        submission = services.accept(picture, owner_id=ANONYMOUS_ID)
        error = AnalysisError("broken", permanent=True)
        with mock.patch("backend.analysis.services.analyse", side_effect=error):
            tasks.process(str(submission.pk))
        submission.refresh_from_db()
        self.assertEqual(submission.status, Status.FAILED)
        return submission

    def test_a_failed_one_is_tried_again_as_if_it_were_new(self) -> None:
        submission = self.failed()
        first_event = submission.event_id
        redis_clients.default().delete("rq:queue:uploads")
        self.act("retry", submission)
        submission.refresh_from_db()
        self.assertEqual((submission.status, submission.attempts), (Status.QUEUED, 0))
        self.assertEqual((submission.reason, submission.processed_at), ("", None))
        self.assertIn(submission.job_id, queues.waiting(queues.UPLOADS))
        self.assertEqual(self.noted(), [("retry submission", f"submission {submission.pk}")])
        tasks.process(str(submission.pk))
        submission.refresh_from_db()
        self.assertEqual((submission.status, submission.faces_count), (Status.DONE, 1))
        self.assertNotIn(submission.event_id, ("", first_event))

    def test_one_that_has_not_failed_is_left_alone(self) -> None:
        submission = row()
        self.assertContains(self.act("retry", submission), "0 will be tried again")
        submission.refresh_from_db()
        self.assertEqual(submission.status, Status.DONE)
        self.assertEqual(self.noted(), [])

    def test_erasing_asks_first(self) -> None:
        submission = row()
        page = self.act("erase", submission)
        self.assertContains(page, "cannot be undone")
        self.assertContains(page, str(submission.pk))
        self.assertTrue(Submission.objects.exists())
        self.assertEqual(self.noted(), [])

    def test_what_is_erased_is_gone_from_every_store_and_it_is_noted(self) -> None:
        upload = ContentFile(image_factories.encoded(image_factories.faceless()), name="a.png")
        submission = services.accept(upload, owner_id=ANONYMOUS_ID)
        name = submission.image.name or ""
        self.assertContains(self.act("erase", submission, confirmed="yes"), "1 erased")
        self.assertFalse(Submission.objects.exists())
        self.assertFalse(default_storage.exists(name))
        self.assertEqual(self.noted(), [("erase submission", f"submission {submission.pk}")])

    def test_without_redis_nothing_is_lost_and_it_is_said(self) -> None:
        submission = self.failed()
        with mock.patch.object(events, "erase", side_effect=redis.ConnectionError):
            self.assertContains(self.act("retry", submission), "Redis is out of reach")
            self.assertContains(
                self.act("erase", submission, confirmed="yes"), "Redis is out of reach"
            )
        submission.refresh_from_db()
        self.assertEqual(submission.status, Status.FAILED)
