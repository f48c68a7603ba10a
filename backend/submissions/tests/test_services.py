"""A submission's way: accepted, worked on, told about, erased."""

import errno
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import QuerySet
from django.test import TransactionTestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image
from rq.job import Job

import faceengine
from backend.analysis import services as analysis
from backend.analysis.models import Analysis
from backend.clients.limits import quota
from backend.clients.models import ANONYMOUS_ID, Client
from backend.common import event_stream, redis_clients
from backend.common.http.errors import Unavailable
from backend.common.jobs import process_identity, queues, runner, statements, sweep
from backend.common.jobs.models import Status
from backend.submissions import events, services, tasks
from backend.submissions.models import Submission
from faceengine.imaging import decode
from tests.support import image_factories, photographs
from wire import events as wire
from wire import signed_links

OBAMA = photographs.read("obama.jpg")
FACELESS = image_factories.encoded(image_factories.faceless())


def accept(data: bytes = OBAMA, name: str = "obama.jpg") -> Submission:
    return services.accept(ContentFile(data, name=name), owner_id=ANONYMOUS_ID)


def again(request_id: str, data: bytes = FACELESS) -> Submission:
    file = ContentFile(data, name="a.jpg")
    return services.accept(file, owner_id=ANONYMOUS_ID, request_id=request_id)


def files_of(submission: Submission) -> list[str]:
    """The files of the submission's id beside its image; the folder may hold other ids' too."""
    files = default_storage.listdir(str(Path(str(submission.image.name)).parent))[1]
    return sorted(name for name in files if name.startswith(str(submission.pk)))


def events_of(submission: Submission) -> list[wire.Entry]:
    entries: Any = redis_clients.default().xrange(wire.STREAM)
    read = [wire.from_entry(id, fields) for id, fields in entries]
    return [entry for entry in read if entry["submission_id"] == str(submission.pk)]


class SubmissionCase(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()

    def after(self, submission: Submission) -> Submission:
        submission.refresh_from_db()
        return submission


class AcceptTests(SubmissionCase):
    def test_the_row_the_file_and_the_job_are_there(self) -> None:
        submission = self.after(accept())
        self.assertEqual(submission.status, Status.QUEUED)
        self.assertEqual(submission.image.read(), OBAMA)
        self.assertEqual(queues.waiting(queues.UPLOADS), {submission.job_id})

    def test_the_file_is_named_by_us_and_not_by_the_caller(self) -> None:
        submission = accept(name="../../etc/passwd.JPG")
        id = str(submission.pk)
        self.assertEqual(submission.image.name, f"originals/{id[:2]}/{id[2:4]}/{id}.jpg")

    def test_without_redis_it_is_accepted_all_the_same(self) -> None:
        with mock.patch.object(queues, "queue", side_effect=redis.ConnectionError):
            submission = accept()
        self.assertEqual(self.after(submission).status, Status.QUEUED)
        self.assertEqual(queues.waiting(queues.UPLOADS), set())

    def test_a_row_that_cannot_be_saved_leaves_no_file(self) -> None:
        with (
            mock.patch.object(statements, "create_many", side_effect=RuntimeError),
            self.assertRaises(RuntimeError),
            mock.patch.object(uuid, "uuid4", return_value=uuid.UUID(int=7)),
        ):
            accept()
        self.assertFalse(default_storage.exists(f"originals/00/00/{uuid.UUID(int=7)}.jpg"))

    def test_a_full_disk_leaves_no_part_of_the_file(self) -> None:
        upload = ContentFile(OBAMA, name="obama.jpg")

        def until_it_is_full() -> Iterator[bytes]:
            yield OBAMA[:1000]
            raise OSError(errno.ENOSPC, "No space left on device")

        with (
            mock.patch.object(upload, "chunks", until_it_is_full),
            mock.patch.object(services, "sha256_of", return_value="0" * 64),
            mock.patch.object(uuid, "uuid4", return_value=uuid.UUID(int=8)),
            self.assertRaises(OSError),
        ):
            services.accept(upload, owner_id=ANONYMOUS_ID)
        self.assertFalse(default_storage.exists(f"originals/00/00/{uuid.UUID(int=8)}.jpg"))

    def test_whatever_goes_wrong_behind_the_commit_the_file_stays_with_its_row(self) -> None:
        with (
            mock.patch.object(Submission, "enqueue", side_effect=RuntimeError),
            self.assertRaises(RuntimeError),
        ):
            accept()
        self.assertTrue(default_storage.exists(Submission.objects.get().image.name or ""))

    def test_a_request_that_is_passed_on_again_is_taken_in_once(self) -> None:
        id = uuid.uuid4().hex
        first = again(id)
        self.assertEqual(again(id), first)
        self.assertEqual(Submission.objects.get(), first)
        self.assertEqual(files_of(first), [Path(str(first.image.name)).name])
        self.assertNotEqual(again(uuid.uuid4().hex), first)

    def test_a_forged_request_id_shows_and_spoils_nothing(self) -> None:
        id = uuid.uuid4().hex
        first = again(id)
        with self.assertRaises(Unavailable):
            again(id, OBAMA)
        self.assertEqual(Submission.objects.get(), first)
        self.assertEqual(files_of(first), [Path(str(first.image.name)).name])
        self.assertNotEqual(again("my-own-id").pk, again("my-own-id").pk)

    def test_a_request_that_is_refused_the_second_time_leaves_the_first_its_file(self) -> None:
        id = uuid.uuid4().hex
        first = again(id)
        with override_settings(FACES_MAX_PENDING=1), self.assertRaises(quota.TooManyWaiting):
            again(id)
        self.assertEqual(files_of(first), [Path(str(first.image.name)).name])


class ProcessTests(SubmissionCase):
    def test_faces_are_found_drawn_and_told(self) -> None:
        submission = accept()
        tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).status, Status.DONE)
        self.assertEqual(submission.faces_count, 1)
        self.assertTrue(default_storage.exists(submission.result.name or ""))
        (event,) = events_of(submission)
        self.assertEqual(event["outcome"], wire.Outcome.FACES)
        self.assertEqual(submission.event_id, event["event_id"])

    def test_no_face_is_told_and_nothing_is_drawn(self) -> None:
        submission = accept(FACELESS)
        tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).status, Status.DONE)
        self.assertFalse(submission.result)
        self.assertEqual([event["outcome"] for event in events_of(submission)], ["no_faces"])

    def test_a_task_that_runs_twice_does_its_work_once(self) -> None:
        submission = accept()
        with mock.patch.object(analysis, "analyse", wraps=analysis.analyse) as analyse:
            tasks.process(str(submission.pk))
            tasks.process(str(submission.pk))
        self.assertEqual((analyse.call_count, len(events_of(submission))), (1, 1))

    def test_an_image_is_decoded_once_and_costs_few_statements(self) -> None:
        submission = accept()
        with (
            mock.patch(
                "faceengine.imaging.scaled.load_reduced", wraps=decode.load_reduced
            ) as search,
            mock.patch.object(faceengine, "load_image", wraps=faceengine.load_image) as whole,
            CaptureQueriesContext(connection) as captured,
        ):
            tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).faces_count, 1)
        self.assertEqual(search.call_count + whole.call_count, 1)
        # Two rows claimed, faces in the transaction that ends the analysis, the row, whether the
        # client has a webhook, the event.
        marks = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
        statements = [each for each in captured if not each["sql"].startswith(marks)]
        self.assertEqual(len(statements), 8)

    def test_a_known_image_is_drawn_all_the_same(self) -> None:
        first, second = accept(), accept()
        for _ in range(2):
            tasks.process(str(first.pk))
        self.assertEqual(self.after(second).faces_count, 1)
        drawn = [
            default_storage.open(self.after(each).result.name or "") for each in (first, second)
        ]
        self.assertEqual(drawn[0].read(), drawn[1].read())

    def test_of_an_image_too_long_for_a_jpeg_the_drawn_picture_is_smaller(self) -> None:
        image = Image.new("RGB", (66_000, 1000), "grey")
        image.paste(image_factories.portrait(width=800), (50_000, 0))
        submission = accept(image_factories.encoded(image, "PNG"), "long.png")
        services.process(str(submission.pk))
        submission.refresh_from_db()
        self.assertEqual((submission.status, submission.faces_count), (Status.DONE, 1))
        with default_storage.open(submission.result.name or "") as file, Image.open(file) as drawn:
            self.assertEqual(drawn.size, (65_500, 992))

    def test_an_encoder_that_fails_would_fail_again(self) -> None:
        submission = accept()
        with mock.patch.object(Image.Image, "save", side_effect=OSError("encoder error -2")):
            services.process(str(submission.pk))
        submission.refresh_from_db()
        self.assertEqual((submission.status, submission.attempts), (Status.FAILED, 1))

    def test_what_is_no_image_fails_at_once_with_a_reason(self) -> None:
        submission = accept(b"not an image")
        tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).status, Status.FAILED)
        self.assertEqual(submission.attempts, 1)
        self.assertIn("image", submission.reason)

    def test_a_file_that_is_gone_fails_at_once_with_a_reason(self) -> None:
        submission = accept()
        default_storage.delete(submission.image.name or "")
        tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).reason, "The uploaded file is gone.")

    def test_the_wait_doubles_from_five_seconds_and_the_eleventh_failure_is_the_last(self) -> None:
        submission = accept()
        waits = []
        for _ in range(11):
            with mock.patch.object(analysis, "analyse", side_effect=OSError("disk")):
                tasks.process(str(submission.pk))
            if self.after(submission).status == Status.QUEUED:
                waits.append(round((submission.due_at - timezone.now()).total_seconds()))
                Submission.objects.update(due_at=timezone.now())
        self.assertEqual(waits, [5 * 2**n for n in range(10)])
        self.assertEqual(submission.status, Status.FAILED)
        self.assertEqual(submission.reason, runner.GIVEN_UP)
        self.assertEqual([event["outcome"] for event in events_of(submission)], ["failed"])

    def test_a_retry_that_is_not_due_is_left_alone(self) -> None:
        submission = accept()
        Submission.objects.update(due_at=timezone.now() + timedelta(seconds=5))
        tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).status, Status.QUEUED)

    def test_who_lost_the_claim_changes_nothing(self) -> None:
        submission = accept()

        def lose(*args: Any, **kwargs: Any) -> analysis.Result:
            Submission.objects.update(claimed_by="elsewhere/1/1")
            return analysis.Result(analysis_id=0, faces=[])

        with mock.patch.object(analysis, "analyse", lose):
            tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).status, Status.PROCESSING)
        self.assertEqual(events_of(submission), [])

    def test_a_picture_that_a_dead_worker_left_does_not_change_the_address(self) -> None:
        submission = accept()
        path = submission.result.field.generate_filename(submission, "result.jpg")
        default_storage.save(path, ContentFile(b"half a JP"))
        tasks.process(str(submission.pk))
        self.assertEqual(self.after(submission).result.name, path)
        self.assertGreater(default_storage.size(path), 1000)

    def test_an_image_erased_while_in_work_leaves_nothing(self) -> None:
        submission = accept()

        def erase_meanwhile(*args: Any, **kwargs: Any) -> bytes:
            services.erase(Submission.objects.get())
            return b"jpeg"

        with mock.patch.object(analysis, "draw", erase_meanwhile):
            tasks.process(str(submission.pk))
        result = submission.result.field.generate_filename(submission, "result.jpg")
        self.assertFalse(default_storage.exists(result))
        self.assertFalse(default_storage.exists(submission.image.name or ""))


class SweepTests(SubmissionCase):
    def in_work(self, **claim: Any) -> Submission:
        submission = accept()
        claim = {"claimed_until": timezone.now() + timedelta(minutes=1), **claim}
        Submission.objects.update(status=Status.PROCESSING, attempts=1, **claim)
        return submission

    def test_work_of_a_worker_that_died_here_is_queued_again_at_once(self) -> None:
        machine, _, _ = process_identity.identity().rpartition("/")
        submission = self.in_work(claimed_by=f"{machine}/before-our-time")
        sweep.once()
        self.assertEqual(self.after(submission).status, Status.QUEUED)
        self.assertLessEqual(submission.due_at, timezone.now())

    def test_work_whose_time_ran_out_elsewhere_is_queued_again(self) -> None:
        past = timezone.now() - timedelta(seconds=1)
        submission = self.in_work(claimed_by="elsewhere/1/1", claimed_until=past)
        sweep.once()
        self.assertEqual(self.after(submission).status, Status.QUEUED)

    def test_work_in_good_hands_is_left_there(self) -> None:
        submission = self.in_work(claimed_by=process_identity.identity())
        sweep.once()
        self.assertEqual(self.after(submission).status, Status.PROCESSING)

    def test_an_image_that_kills_its_worker_each_time_fails_in_the_end(self) -> None:
        submission = self.in_work(claimed_by="elsewhere/1/1", claimed_until=timezone.now())
        Submission.objects.update(attempts=11)
        sweep.once()
        self.assertEqual(self.after(submission).status, Status.FAILED)

    def test_a_row_whose_job_was_lost_is_enqueued_again_once(self) -> None:
        submission = accept()
        redis_clients.default().flushdb()
        Submission.objects.update(created_at=timezone.now() - timedelta(seconds=10))
        sweep.once()
        sweep.once()
        self.assertEqual(queues.queue(queues.UPLOADS).get_job_ids(), [submission.job_id])

    def test_a_retry_is_enqueued_when_it_is_due_and_not_before(self) -> None:
        submission = accept()
        redis_clients.default().flushdb()
        Submission.objects.update(attempts=1, due_at=timezone.now() + timedelta(seconds=60))
        sweep.once()
        self.assertEqual(queues.waiting(queues.UPLOADS), set())
        Submission.objects.update(due_at=timezone.now())
        sweep.once()
        self.assertEqual(queues.waiting(queues.UPLOADS), {submission.job_id})

    def test_an_outcome_that_redis_did_not_hear_of_is_told_later(self) -> None:
        submission = accept()
        with mock.patch.object(redis_clients, "default", side_effect=redis.ConnectionError):
            tasks.process(str(submission.pk))
            sweep.once()
        self._let_time_pass_and_sweep()
        self.assertEqual(len(events_of(submission)), 1)

    def test_what_an_emptied_redis_lost_is_told_again_once(self) -> None:
        submission = accept()
        tasks.process(str(submission.pk))
        sweep.once()
        redis_clients.default().flushdb()
        self._let_time_pass_and_sweep()
        self.assertEqual(len(events_of(submission)), 1)

    def test_an_event_that_is_lost_before_its_row_has_it_is_published_again(self) -> None:
        """Redis is emptied, and the sweep passes, between the append and the row's update."""
        submission = accept()
        append = event_stream.append

        def lost_at_once(*args: Any, **kwargs: Any) -> str:
            event_id = append(*args, **kwargs)
            redis_clients.default().flushdb()
            sweep.once()
            return event_id

        with mock.patch.object(event_stream, "append", lost_at_once):
            tasks.process(str(submission.pk))
        self.assertEqual(events_of(submission), [])
        self._let_time_pass_and_sweep()
        self.assertEqual(len(events_of(submission)), 1)

    def test_what_is_lost_while_the_lost_are_marked_is_published_again(self) -> None:
        """Redis is emptied once more after the sweep has read the rows that it marks."""
        tasks.process(str(accept().pk))
        redis_clients.default().flushdb()
        late = accept()
        update = QuerySet.update

        def emptied_again(rows: Any, **fields: Any) -> int:
            count = update(rows, **fields)
            if fields == {"event_id": ""}:
                tasks.process(str(late.pk))
                redis_clients.default().flushdb()
            return count

        with mock.patch.object(QuerySet, "update", emptied_again):
            sweep.once()
        self._let_time_pass_and_sweep()
        self.assertEqual(len(events_of(late)), 1)

    def _let_time_pass_and_sweep(self) -> None:
        Submission.objects.update(processed_at=timezone.now() - timedelta(seconds=10))
        sweep.once()
        sweep.once()


class EraseTests(SubmissionCase):
    def test_nothing_is_left_anywhere(self) -> None:
        submission = accept()
        tasks.process(str(submission.pk))
        self.after(submission)
        names = [submission.image.name or "", submission.result.name or ""]
        services.erase(submission)
        self.assertEqual([default_storage.exists(name) for name in names], [False, False])
        self.assertEqual(events_of(submission), [])
        self.assertFalse(Submission.objects.exists())
        keys: Any = redis_clients.default().keys()
        leftovers = [key for key in keys if names[0][-40:-4] in key]
        self.assertEqual(leftovers, [])

    def test_what_a_worker_ends_while_it_is_erased_goes_too(self) -> None:
        submission = accept()
        delete = default_storage.delete

        def end_meanwhile(name: str) -> None:
            if self.after(submission).status == Status.QUEUED:
                tasks.process(str(submission.pk))
            delete(name)

        with mock.patch.object(default_storage, "delete", end_meanwhile):
            services.erase(Submission.objects.get())
        result = submission.result.field.generate_filename(submission, "result.jpg")
        self.assertFalse(default_storage.exists(result))
        self.assertEqual(redis_clients.default().xlen(wire.STREAM), 0)
        self.assertFalse(Analysis.objects.exists())
        self.assertFalse(Submission.objects.exists())

    def test_the_stream_holds_no_link_and_the_frame_has_one(self) -> None:
        owner = Client.objects.create(name="alice")
        submission = services.accept(ContentFile(OBAMA, name="a.jpg"), owner_id=owner.pk)
        tasks.process(str(submission.pk))
        submission.refresh_from_db()
        stream: Any = redis_clients.default().xrange(wire.STREAM)
        ((id, fields),) = stream
        self.assertNotIn("signature", str(fields))
        key = signed_links.signing_key(settings.SECRET_KEY)
        frame = json.loads(wire.from_entry(id, fields, link_key=key)["frame"])
        self.assertEqual(frame["image_url"], events.image_url(submission))
        self.assertEqual(self.client.get(urlsplit(frame["image_url"]).path).status_code, 404)
        path = frame["image_url"].removeprefix(settings.SERVICE_URL)
        self.assertEqual(self.client.get(path).status_code, 200)

    def test_an_event_that_is_told_while_its_image_is_erased_goes_too(self) -> None:
        submission = accept()
        build = events.build

        def erase_meanwhile(told: Submission, **options: Any) -> wire.Event:
            services.erase(Submission.objects.get())
            return build(told, **options)

        with mock.patch.object(events, "build", erase_meanwhile):
            tasks.process(str(submission.pk))
        self.assertEqual(redis_clients.default().xlen(wire.STREAM), 0)
        self.assertEqual(redis_clients.default().keys("faces:event-of:*"), [])

    def test_nothing_is_left_in_redis_of_a_job_that_failed_there(self) -> None:
        submission = accept()
        queue = queues.queue(queues.UPLOADS)
        job = Job.fetch(submission.job_id, queue.connection, serializer=queue.serializer)
        with queue.connection.pipeline() as pipeline:
            job._handle_failure("a traceback", pipeline)
            pipeline.execute()
        self.assertTrue(self.keys_with(submission.job_id))
        services.erase(submission)
        self.assertEqual(self.keys_with(submission.job_id), [])

    def keys_with(self, job_id: str) -> list[Any]:
        """Where rq keeps something of a job: by its name, or in the list of what failed."""
        client = redis_clients.default()
        failed = queues.queue(queues.UPLOADS).failed_job_registry.key
        keys: Any = client.keys(f"*{job_id}*")
        return [*keys, *([failed] if client.zscore(failed, job_id) is not None else [])]

    @override_settings(CACHE_BACKEND_URL="redis://127.0.0.1:1/0")
    def test_without_redis_the_row_stays_so_that_it_can_be_erased_later(self) -> None:
        submission = accept()
        redis_clients.default.cache_clear()
        self.addCleanup(redis_clients.default.cache_clear)
        queues.queue.cache_clear()
        self.addCleanup(queues.queue.cache_clear)
        with self.assertRaises(redis.RedisError):
            services.erase(submission)
        self.assertTrue(Submission.objects.exists())
