"""Reference faces: at most five, one face each, and how they go."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.db.models import ProtectedError
from django.test import TestCase, TransactionTestCase, override_settings
from django.utils import timezone

from backend.analysis import services as analysis
from backend.analysis.models import Analysis
from backend.photos import tasks
from backend.photos.extraction import results
from backend.photos.files import renditions as thumbnails
from backend.photos.files import storage
from backend.photos.members import consent, references, retention
from backend.photos.models import Extraction, Match, Member, Reference
from backend.photos.tests import factories
from tests.support import image_factories, samples

without_faces = override_settings(FACES_PHOTOS_EXTRACTION="off")


def files_of(reference: Reference) -> list[Path]:
    return list(Path(default_storage.path("")).rglob(f"*{reference.key}*"))


class ReferenceTests(TestCase):
    def setUp(self) -> None:
        self.alice = factories.member()

    def test_a_picture_of_one_face_becomes_a_reference_and_opts_its_member_in(self) -> None:
        reference = factories.reference(self.alice, samples.face())
        self.assertEqual(reference.extraction, Extraction.PROCESSING)
        factories.processed(reference)
        self.assertEqual((reference.extraction, reference.failure_reason), (Extraction.DONE, ""))
        known = Reference.objects.with_encodings().get(pk=reference.pk)
        self.assertEqual(known.encoding.shape, (128,))
        self.assertEqual(list(Reference.objects.matching()), [reference])
        self.alice.refresh_from_db()
        self.assertIsNotNone(self.alice.opted_in_at)

    def test_none_or_several_faces_are_rejected_with_the_reason(self) -> None:
        two = image_factories.encoded(
            image_factories.side_by_side("obama.jpg", "biden.jpg", width=300)
        )
        for image, reason in (
            (samples.no_face(), results.NO_FACE),
            (two, results.SEVERAL_FACES),
        ):
            reference = factories.processed(factories.reference(self.alice, image))
            found = (reference.extraction, reference.failure_reason)
            self.assertEqual(found, (Extraction.REJECTED, reason))
            self.assertFalse(Reference.objects.matching().exists())

    def test_of_several_faces_the_member_chooses_theirs(self) -> None:
        alice = factories.member()
        pair = image_factories.encoded(image_factories.side_by_side(width=300))
        reference = factories.processed(factories.reference(alice, pair))
        self.assertEqual(len(reference.boxes), 2)
        for wrong in (-1, 2):
            self.assertFalse(references.choose(reference, wrong))
        left = min((0, 1), key=lambda number: reference.boxes[number]["left"])
        self.assertTrue(references.choose(reference, left))
        self.assertFalse(references.choose(reference, left))
        reference = factories.processed(reference)
        self.assertEqual((reference.extraction, reference.boxes), (Extraction.DONE, []))
        alone = factories.processed(factories.reference(alice, samples.face()))
        far = numpy.linalg.norm(
            Reference.objects.with_encodings().get(pk=reference.pk).encoding
            - Reference.objects.with_encodings().get(pk=alone.pk).encoding
        )
        self.assertLess(far, 0.49)

    @without_faces
    def test_the_sixth_is_refused_but_rejected_and_deleted_ones_do_not_count(self) -> None:
        made = [factories.reference(self.alice, factories.jpeg(str(number))) for number in range(5)]
        with self.assertRaisesMessage(storage.UploadRejected, references.TOO_MANY):
            factories.reference(self.alice, factories.jpeg("sixth"))
        results.record(made[0], [], extractor="test")
        factories.reference(self.alice, factories.jpeg("sixth"))
        references.mark_for_deletion(made[1])
        factories.reference(self.alice, factories.jpeg("seventh"))
        with self.assertRaisesMessage(storage.UploadRejected, references.TOO_MANY):
            factories.reference(self.alice, factories.jpeg("eighth"))
        factories.reference(factories.member("bob"), factories.jpeg("eighth"))

    def test_what_is_no_image_is_refused_with_a_sentence(self) -> None:
        for content, name in ((b"x", "a.jpg"), (b"x", "a.txt"), (image_factories.bomb(), "a.png")):
            with self.subTest(name), self.assertRaises(storage.UploadRejected) as raised:
                factories.reference(self.alice, content, name)
            self.assertTrue(str(raised.exception).endswith("."))
        self.alice.refresh_from_db()
        self.assertIsNone(self.alice.opted_in_at)

    @without_faces
    def test_a_deleted_reference_is_hidden_and_matches_nothing(self) -> None:
        reference = factories.processed(factories.reference(self.alice, factories.jpeg("a")))
        self.assertTrue(references.mark_for_deletion(reference))
        self.assertFalse(references.mark_for_deletion(reference))
        self.assertFalse(references.references_of(self.alice).exists())
        self.assertTrue(files_of(reference))

    @without_faces
    def test_a_member_who_uploads_and_deletes_without_end_is_stopped(self) -> None:
        with patch.object(references, "_MAX_ROWS", 2):
            for text in "ab":
                references.mark_for_deletion(factories.reference(self.alice, factories.jpeg(text)))
            with self.assertRaisesMessage(storage.UploadRejected, references.TOO_MANY_KEPT):
                factories.reference(self.alice, factories.jpeg("c"))

    @without_faces
    def test_a_user_cannot_be_deleted_while_there_are_files_of_them(self) -> None:
        factories.reference(self.alice, factories.jpeg("a"))
        with self.assertRaises(ProtectedError):
            factories.user().delete()
        consent.opt_out(self.alice)
        factories.user().delete()
        self.assertFalse(Member.objects.exists())


class OptingOutTests(TestCase):
    def setUp(self) -> None:
        self.alice = factories.member()

    def test_opting_out_erases_references_files_encodings_and_matches_at_once(self) -> None:
        photo = factories.photo(factories.album(), samples.face())
        reference = factories.reference(
            self.alice, image_factories.encoded(image_factories.portrait(width=310))
        )
        for source in (photo, reference):
            factories.processed(source)
        self.assertTrue(files_of(reference))
        Match.objects.get_or_create(
            reference=reference, face=photo.faces.get(), photo=photo, defaults={"distance": 0.1}
        )
        consent.opt_out(self.alice)
        self.assertEqual(files_of(reference), [])
        self.assertFalse(Reference.objects.exists() or Match.objects.exists())
        self.assertFalse(Analysis.objects.filter(sha256=reference.sha256).exists())
        self.assertEqual(self.alice.opted_in_at, None)
        self.assertIsNotNone(self.alice.opted_out_at)

    def test_opting_out_takes_a_reference_out_of_a_workers_hands_at_each_step(self) -> None:
        steps = (thumbnails, "make"), (analysis, "analyse")
        for place, step in steps:
            with self.subTest(step):
                self.alice = factories.member()
                reference = factories.reference(
                    self.alice, samples.another(samples.face(), len(step))
                )
                real = getattr(place, step)

                def opted_out(*args: Any, real: Any = real, **named: Any) -> Any:
                    result = real(*args, **named)
                    consent.opt_out(self.alice)
                    return result

                with patch.object(place, step, opted_out):
                    tasks.process_reference(str(reference.pk))
                self.assertEqual(files_of(reference), [])
                self.assertFalse(Reference.objects.exists())
                self.assertFalse(Analysis.objects.filter(sha256=reference.sha256).exists())

    @without_faces
    def test_an_upload_that_was_under_way_does_not_opt_in_again(self) -> None:
        stale = factories.member()
        consent.opt_out(self.alice)
        with self.assertRaisesMessage(storage.UploadRejected, references.OPTED_OUT):
            factories.reference(stale, factories.jpeg("a"))
        self.assertFalse(Reference.objects.exists())
        factories.reference(factories.member(), factories.jpeg("a"))

    @without_faces
    def test_others_keep_theirs(self) -> None:
        bobs = factories.reference(factories.member("bob"), factories.jpeg("a"))
        factories.reference(self.alice, factories.jpeg("a"))
        consent.opt_out(self.alice)
        self.assertEqual(list(Reference.objects.all()), [bobs])
        self.assertTrue(files_of(bobs))


@without_faces
class MinimisationTests(TestCase):
    def setUp(self) -> None:
        self.marked, self.kept = (
            factories.processed(factories.reference(factories.member(name), factories.jpeg(name)))
            for name in ("alice", "bob")
        )
        references.mark_for_deletion(self.marked)

    def test_a_deleted_reference_goes_after_180_days_and_not_before(self) -> None:
        with self.later(days=179):
            self.assertFalse(retention.due().exists())
        with self.later(days=181):
            self.assertEqual(list(retention.due()), [self.marked])
            self.assertIn("Erased 1 references.", self.minimise())
        self.assertEqual(files_of(self.marked), [])
        self.assertEqual(list(Reference.objects.all()), [self.kept])

    def test_references_are_erased_after_365_days_without_a_login(self) -> None:
        User.objects.filter(username="bob").update(last_login=timezone.now())
        with self.later(days=364):
            self.assertNotIn(self.kept, retention.due())
        with self.later(days=366):
            self.assertIn(self.kept, retention.due())

    def test_a_recent_login_keeps_references_and_without_any_the_account_date_counts(
        self,
    ) -> None:
        later = timezone.now() + timedelta(days=366)
        User.objects.filter(username="bob").update(last_login=later - timedelta(days=1))
        User.objects.filter(username="alice").update(last_login=None)
        Reference.objects.filter(pk=self.marked.pk).update(marked_for_deletion_at=None)
        with self.later(days=366):
            self.assertEqual(list(retention.due()), [self.marked])

    def test_a_dry_run_reports_the_same_and_erases_nothing(self) -> None:
        with self.later(days=181):
            told = self.minimise("--dry-run")
            self.assertIn("Would erase 1 references.", told)
            self.assertEqual(Reference.objects.count(), 2)
            self.assertEqual(self.minimise(), told.replace("Would erase", "Erased"))
            self.assertIn("Erased 0 references.", self.minimise())

    def test_the_sweep_erases_due_references_without_the_command(self) -> None:
        with self.later(days=181), patch.object(retention._Last, "run_s", -1e9):
            retention.sweep()
            self.assertEqual(list(Reference.objects.all()), [self.kept])
            Reference.objects.update(marked_for_deletion_at=timezone.now() - timedelta(days=200))
            retention.sweep()  # within the hour: nothing is looked for
            self.assertEqual(Reference.objects.count(), 1)

    def later(self, *, days: int) -> Any:
        now: datetime = timezone.now() + timedelta(days=days)
        return patch.object(timezone, "now", lambda: now)

    def minimise(self, *arguments: str) -> str:
        told = StringIO()
        call_command("dataminimisation", *arguments, stdout=told)
        return told.getvalue()


@without_faces
class RaceTests(TransactionTestCase):
    def test_of_many_uploads_at_once_five_are_taken(self) -> None:
        alice = factories.member()

        def upload(number: int) -> bool:
            try:
                factories.reference(alice, factories.jpeg(str(number)))
            except storage.UploadRejected:
                return False
            finally:
                connection.close()
            return True

        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(upload, range(12)))
        self.assertEqual((sum(taken), Reference.objects.count()), (5, 5))
