"""What the retention command deletes, and what it leaves."""

import io
import os
import time
from datetime import timedelta
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import TransactionTestCase
from django.utils import timezone

from backend.analysis.models import Analysis, source_path
from backend.clients.models import ANONYMOUS_ID
from backend.common import redis_clients
from backend.common.jobs.models import Status
from backend.submissions import services, tasks
from backend.submissions.models import Submission
from tests.support import image_factories

FACELESS = image_factories.encoded(image_factories.faceless())


def run(**options: Any) -> str:
    out = io.StringIO()
    call_command("delete_old_submissions", stdout=out, **options)
    return out.getvalue()


class RetentionTests(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        self.old = self.submission(days=31)
        self.new = self.submission(days=29)

    def submission(self, *, days: int) -> Submission:
        submission = services.accept(
            ContentFile(FACELESS, name="nobody.jpg"), owner_id=ANONYMOUS_ID
        )
        tasks.process(str(submission.pk))
        made = timezone.now() - timedelta(days=days)
        Submission.objects.filter(pk=submission.pk).update(created_at=made)
        return Submission.objects.get(pk=submission.pk)

    def test_it_deletes_what_is_older_than_the_setting_and_nothing_else(self) -> None:
        self.assertIn("Deleted 1 submissions.", run())
        self.assertEqual(Submission.objects.get(), self.new)
        self.assertFalse(default_storage.exists(self.old.image.name or ""))
        self.assertTrue(default_storage.exists(self.new.image.name or ""))

    def test_a_dry_run_tells_and_deletes_nothing(self) -> None:
        self.assertIn("Would delete 1 submissions.", run(dry_run=True))
        self.assertEqual(Submission.objects.count(), 2)

    def test_zero_days_deletes_no_submission(self) -> None:
        self.assertIn("Deleted 0 submissions.", run(days=0))

    def test_negative_days_are_refused(self) -> None:
        with self.assertRaises(CommandError):
            run(days=-1)

    def test_what_a_worker_has_in_hand_is_left(self) -> None:
        Submission.objects.update(status=Status.PROCESSING)
        self.assertIn("Deleted 0 submissions.", run())

    def test_an_analysis_goes_with_the_last_submission_that_names_it(self) -> None:
        run()
        self.assertEqual(Analysis.objects.get(), self.new.analysis)
        Submission.objects.update(created_at=timezone.now() - timedelta(days=31))
        run()
        self.assertFalse(Analysis.objects.exists())

    def test_an_analysis_that_a_crash_left_goes_too(self) -> None:
        Submission.objects.update(analysis=None)
        Analysis.objects.update(created_at=timezone.now() - timedelta(hours=2))
        self.assertIn("Deleted 1 analyses", run())

    def test_a_file_without_a_row_goes_when_it_has_settled(self) -> None:
        name = default_storage.save("originals/00/00/stray.jpg", ContentFile(b"x"))
        self.assertIn("Deleted 0 files", run())
        yesterday = time.time() - 2 * 86_400
        os.utime(default_storage.path(name), (yesterday, yesterday))
        self.assertIn("Deleted 1 files", run())
        self.assertFalse(default_storage.exists(name))

    def test_bytes_that_no_analysis_waits_for_go_when_they_have_settled(self) -> None:
        wanted, left = [
            default_storage.save(source_path(Analysis(), ""), ContentFile(b"x")) for _ in range(2)
        ]
        Analysis.objects.update(source=wanted)
        yesterday = time.time() - 2 * 86_400
        for name in (wanted, left):
            os.utime(default_storage.path(name), (yesterday, yesterday))
        self.assertIn("Deleted 1 files", run())
        self.assertTrue(default_storage.exists(wanted))
        self.assertFalse(default_storage.exists(left))

    def test_an_analysis_nobody_waits_for_any_more_goes_with_its_bytes(self) -> None:
        name = default_storage.save(source_path(Analysis(), ""), ContentFile(b"x"))
        Submission.objects.update(analysis=None)
        made = timezone.now() - timedelta(hours=2)
        Analysis.objects.update(source=name, status=Status.QUEUED, created_at=made)
        self.assertIn("Deleted 1 analyses", run())
        self.assertFalse(default_storage.exists(name))
