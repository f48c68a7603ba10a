"""Calls take effect in the order in which they were accepted, in any process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

from django.test import override_settings
from django.utils import timezone

from backend.common.jobs import queues, sweep
from backend.common.jobs.models import JobError, Status
from backend.recognition import api, tasks
from backend.recognition.models import READING, Operation, OperationImage, User
from backend.recognition.operations import commands, executor, preparation, retention, service
from backend.recognition.tests import processes
from backend.recognition.tests.base import RecognitionCase, counts, ids
from backend.recognition.tests.factories import person


class OrderTests(RecognitionCase):
    """Without a worker; the tests execute operations."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(queues, "enqueue", return_value=False))

    def begin(self, call: Any) -> Operation:
        # Without a waiting caller for recognitions, which would be reserved for it.
        return service.begin(call, owner_id=1, timeout_s=0 if call.kind in READING else 5)

    def carry_out(self, *operations: Operation) -> None:
        for operation in operations:
            executor.execute(operation.pk)
        for operation in operations:
            operation.refresh_from_db()

    def test_a_later_call_that_is_prepared_first_waits(self) -> None:
        add = self.begin(commands.add(1, 1, [self.face(1)]))
        delete = self.begin(commands.delete(1, 1, [{"face_id": 1}]))
        delete.refresh_from_db()
        self.assertFalse(delete.has_ended)
        self.carry_out(add)
        delete.refresh_from_db()
        self.assertEqual(counts(service.changes(add)), (1, 0, 0, 0))
        self.assertEqual(counts(service.changes(delete)), (0, 1, 0, 0))

    def test_adding_deleting_and_adding_in_rapid_sequence_leaves_the_face(self) -> None:
        face = self.face(1)
        first = self.begin(commands.add(1, 1, [face]))
        delete = self.begin(commands.delete(1, 1, [face]))
        again = self.begin(commands.add(1, 1, [face]))
        self.carry_out(again, delete, first)
        again.refresh_from_db()
        answers = [service.changes(each) for each in (first, delete, again)]
        self.assertEqual(
            [counts(each) for each in answers], [(1, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0)]
        )
        self.assertEqual([face["id"] for face in api.get_faces(1)], [answers[2]["added"][0]["id"]])

    def test_a_recognition_sees_what_was_accepted_before_it_and_no_more(self) -> None:
        ann, bea = person(), person()
        first = self.begin(commands.add(1, 1, [self.face(1, ann)]))
        before = self.begin(commands.recognise(1, self.probe(bea)))
        second = self.begin(commands.add(1, 2, [self.face(1, bea)]))
        after = self.begin(commands.recognise(1, self.probe(bea)))
        self.carry_out(after, second, before, first)
        for operation in (before, after):
            operation.refresh_from_db()
        self.assertEqual(service.recognised(before), [])
        (found,) = service.recognised(after) or []
        self.assertEqual(found["contact_id"], 2)

    def test_recognitions_do_not_wait_for_each_other(self) -> None:
        api_call = commands.recognise(1, self.probe(person()))
        first, second = self.begin(api_call), self.begin(api_call)
        self.carry_out(second)
        self.assertTrue(second.has_ended)
        first.refresh_from_db()
        self.assertFalse(first.has_ended)

    def test_other_users_do_not_wait(self) -> None:
        waiting = self.begin(commands.add(1, 1, [self.face(1)]))
        self.carry_out(self.begin(commands.add(2, 1, [self.face(1)])))
        self.assertEqual(len(api.get_faces(2)), 1)
        waiting.refresh_from_db()
        self.assertFalse(waiting.has_ended)

    def test_a_permanent_failure_unblocks_the_next_call(self) -> None:
        bad = self.begin(commands.add(1, 1, [self.face(1)]))
        good = self.begin(commands.delete_contact(1, 9))
        error = JobError("It cannot be done.", permanent=True)
        with mock.patch.object(preparation, "prepare", side_effect=error):
            self.carry_out(bad)
        good.refresh_from_db()
        self.assertEqual((bad.status, good.status), (Status.FAILED, Status.DONE))
        (face,) = service.changes(bad)["error"]
        self.assertEqual((face["face_id"], face["reason"]), (1, "It cannot be done."))

    @override_settings(FACES_RETRY_DELAY_S=0)
    def test_a_temporary_failure_is_retried_in_its_place(self) -> None:
        shaky = self.begin(commands.add(1, 1, [self.face(1)]))
        next = self.begin(commands.delete(1, 1, [{"face_id": 1}]))
        with (
            mock.patch.object(preparation, "prepare", side_effect=OSError),
            self.assertLogs("backend"),
        ):
            self.carry_out(shaky, next)
        self.assertFalse(shaky.has_ended or next.has_ended)
        self.carry_out(shaky)
        next.refresh_from_db()
        self.assertEqual(counts(service.changes(next)), (0, 1, 0, 0))

    def test_the_sweep_executes_an_operation_that_was_not_enqueued(self) -> None:
        add = self.begin(commands.add(1, 1, [self.face(1)]))
        Operation.objects.update(created_at=timezone.now() - timedelta(seconds=10))
        with mock.patch.object(queues, "enqueue", side_effect=_at_once):
            sweep.once()
        add.refresh_from_db()
        self.assertEqual(ids(service.changes(add)["added"]), [1])

    def test_the_sweep_deletes_old_results_and_empty_users(self) -> None:
        self.carry_out(self.begin(commands.add(1, 1, [self.face(1)])))
        self.begin(commands.delete_user(1))
        sweep.once()
        self.assertEqual(Operation.objects.count(), 2)
        an_hour_ago = timezone.now() - retention.DELETIONS_KEPT - timedelta(seconds=1)
        Operation.objects.filter(kind="delete_user").update(processed_at=an_hour_ago)
        sweep.once()
        self.assertEqual([each.kind for each in Operation.objects.all()], ["add"])
        Operation.objects.update(processed_at=timezone.now() - timedelta(days=8))
        sweep.once()
        self.assertFalse(Operation.objects.exists())
        self.assertFalse(User.objects.exists())


def _at_once(queue: str, task: str, argument: str, *, job_id: str) -> bool:
    tasks.execute(argument)
    return True


_HERE = "backend.recognition"

STEPS = (
    f"{_HERE}.operations.acceptance._requested",
    f"{_HERE}.operations.acceptance._inserted",
    f"{_HERE}.operations.acceptance._insert_images",
    f"{_HERE}.operations.service.accept",
    "backend.common.jobs.queues.enqueue",
    "backend.common.jobs.runner.run",
    "backend.common.jobs.models.own_claim",
    f"{_HERE}.operations.preparation.prepare",
    f"{_HERE}.operations.preparation._fetch",
    f"{_HERE}.operations.preparation._request",
    f"{_HERE}.operations.preparation._analyse",
    f"{_HERE}.models.Operation.mark_prepared",
    f"{_HERE}.gallery.locking.lock",
    f"{_HERE}.operations.enrolment.choose_indexed",
    f"{_HERE}.gallery.locking.bump_version",
    f"{_HERE}.operations.executor._end",
    f"{_HERE}.operations.executor._apply",
    f"{_HERE}.operations.executor.on_end",
    f"{_HERE}.operations.executor.clean_up",
)
"""Every step of a call, in their order."""


class CrashTests(RecognitionCase):
    def test_killed_at_any_step_the_state_is_that_before_or_after_the_call(self) -> None:
        for number, (step, after) in enumerate(
            (step, at) for step in STEPS for at in (False, True)
        ):
            with self.subTest(step=step, after=after):
                self._die_and_recover(number, step, after)

    def _die_and_recover(self, user_id: int, step: str, after: bool) -> None:
        api.add_faces(user_id, 1, [self.face(1)])
        version = _version(user_id)
        faces = [self.face(2), self.face(3)]
        status = processes.killed_at(
            step, after=after, job=lambda: api.add_faces(user_id, 1, faces)
        )
        self.assertEqual(status, processes.KILLED)
        here = ids(service.faces(_user(user_id)))
        self.assertIn(here, ([1], [1, 2, 3]))
        self.assertEqual(_version(user_id) - version, len(here) // 3)
        accepted = Operation.objects.filter(user__user_id=user_id).count() == 2
        self._recover()
        self.assertEqual(ids(api.get_faces(user_id)), [1, 2, 3] if accepted else [1])
        self.assertEqual(_version(user_id) - version, int(accepted))
        self.assertEqual(counts(api.add_faces(user_id, 1, faces))[0], 0 if accepted else 2)

    def _recover(self) -> None:
        """What the sweep of another process does, some seconds later."""
        for _ in range(3):
            Operation.objects.update(created_at=timezone.now() - timedelta(seconds=10))
            sweep.once()
        self.assertFalse(
            Operation.objects.filter(status__in=[Status.QUEUED, Status.PROCESSING]).exists()
        )
        self.assertFalse(OperationImage.objects.exists())


def _user(user_id: int) -> Any:
    user = service.find_user(1, user_id)
    assert user is not None
    return user


def _version(user_id: int) -> int:
    return int(_user(user_id).gallery_version)
