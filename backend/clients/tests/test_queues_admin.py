"""rq's queues in the admin: who sees them, what is on them, and that nothing there does harm."""

import uuid
from typing import Any
from unittest import mock

import redis
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import TransactionTestCase
from rq.job import Job
from rq.serializers import JSONSerializer

from backend.clients.models import ANONYMOUS_ID, AuditEntry
from backend.common import redis_clients
from backend.common.jobs import queues, runner
from backend.common.jobs.models import Status
from backend.submissions import services, tasks
from backend.submissions.models import Submission
from tests.support import image_factories

_PAGE = "/admin/django_rq/dashboard/"
_INTERACTIVE, _UPLOADS = 0, 1


class QueuesTests(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.client.force_login(User.objects.create_superuser("olga"))

    def submitted(self) -> Submission:
        picture = ContentFile(
            image_factories.encoded(image_factories.faceless()), name="a-name-of-mine.png"
        )
        return services.accept(picture, owner_id=ANONYMOUS_ID)

    def job(self, submission: Submission) -> str:
        return f"{_PAGE}queues/{_UPLOADS}/{submission.job_id}/"

    def pages(self, submission: Submission) -> dict[str, Any]:
        queue = f"{_PAGE}queues/{_UPLOADS}/"
        kinds = ("details", "finished", "failed", "scheduled", "started", "deferred")
        paths = [_PAGE, queue, *(f"{queue}{kind}/" for kind in kinds), self.job(submission)]
        paths += [f"{_PAGE}workers/{_UPLOADS}/", f"{_PAGE}stats.json"]
        return {path: self.client.get(path) for path in paths}

    def test_every_page_shows_ids_and_nothing_of_a_person(self) -> None:
        submission = self.submitted()
        pages = self.pages(submission)
        for path, page in pages.items():
            with self.subTest(path):
                self.assertEqual(page.status_code, 200)
                self.assertIn("default-src 'none'", page["Content-Security-Policy"])
                for private in ("a-name-of-mine", submission.sha256, submission.image.name or ""):
                    self.assertNotContains(page, private)
        self.assertContains(pages[_PAGE], "uploads")
        self.assertContains(pages[self.job(submission)], str(submission.pk))

    def test_only_superusers_and_staff_with_the_permission_see_them(self) -> None:
        clerk = User.objects.create_user("clerk", is_staff=True)
        self.client.force_login(clerk)
        submission = self.submitted()
        for path, page in self.pages(submission).items():
            with self.subTest(path):
                self.assertEqual(page.status_code, 403)
        self.assertNotContains(self.client.get("/admin/"), "django_rq")
        clerk.user_permissions.add(Permission.objects.get(content_type__app_label="django_rq"))
        self.assertEqual(self.client.get(_PAGE).status_code, 200)
        self.client.logout()
        for path, page in self.pages(submission).items():
            with self.subTest(path):
                self.assertEqual((page.status_code, page["Location"][:13]), (302, "/admin/login/"))

    def test_a_deleted_job_is_made_again_by_the_sweep(self) -> None:
        submission = self.submitted()
        self.client.post(f"{self.job(submission)}delete/", {"post": "yes"})
        self.assertNotIn(submission.job_id, queues.waiting(queues.UPLOADS))
        Submission.objects.update(created_at="2026-01-01T00:00:00Z")
        runner.enqueue_lost(Submission)
        self.assertIn(submission.job_id, queues.waiting(queues.UPLOADS))
        entry = AuditEntry.objects.get(action="change queue")
        self.assertEqual(entry.actor, "admin olga")
        self.assertIn(submission.job_id, entry.subject)

    def test_an_emptied_queue_loses_nothing(self) -> None:
        submission = self.submitted()
        self.client.post(f"{_PAGE}queues/{_UPLOADS}/empty/", {"post": "yes"})
        self.assertEqual(queues.waiting(queues.UPLOADS), set())
        submission.refresh_from_db()
        self.assertEqual(submission.status, Status.QUEUED)

    def test_a_job_that_is_queued_again_does_its_work_once(self) -> None:
        submission = self.submitted()
        queue = queues.queue(queues.UPLOADS)
        job = Job.fetch(submission.job_id, connection=queue.connection, serializer=JSONSerializer)
        queue.remove(job)
        queue.failed_job_registry.add(job, ttl=60, exc_string="killed")
        tasks.process(str(submission.pk))
        self.client.post(f"{self.job(submission)}requeue/", {"requeue": "Requeue"})
        (waiting,) = queue.get_jobs()
        self.assertEqual(list(waiting.args), [str(submission.pk)])
        before = Submission.objects.values().get()
        waiting.perform()
        self.assertEqual(Submission.objects.values().get(), before)

    def test_what_does_not_exist_is_404(self) -> None:
        missing = f"{_PAGE}queues/{_UPLOADS}/submission-{uuid.uuid4()}/"
        for path in (missing, f"{missing}delete/", f"{_PAGE}queues/9/", f"{_PAGE}workers/9/"):
            with self.subTest(path):
                self.assertEqual(self.client.get(path).status_code, 404)

    def test_without_redis_the_pages_say_so(self) -> None:
        away = redis.ConnectionError("away")
        with mock.patch.object(redis.connection.Connection, "connect", side_effect=away):
            for path in (_PAGE, f"{_PAGE}queues/{_UPLOADS}/", f"{_PAGE}workers/{_UPLOADS}/"):
                with self.subTest(path):
                    page = self.client.get(path)
                    self.assertContains(page, "Redis is out of reach", status_code=503)
            self.assertEqual(self.client.get("/admin/").status_code, 200)
