"""Clients with operations that wait: preparing takes turns, applying keeps each user's order."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

from django.db import connection
from django.utils import timezone

from backend.analysis import services as analysis
from backend.clients.tests import factories
from backend.common.jobs import fair_shares
from backend.common.jobs.worker import Worker
from backend.recognition import tasks
from backend.recognition.gallery.probe import as_file
from backend.recognition.models import Operation
from backend.recognition.operations import commands, preparation, service
from backend.recognition.tests.base import RecognitionCase
from tests.support import image_factories


class TurnTests(RecognitionCase):
    def setUp(self) -> None:
        super().setUp()
        # Entries stay in the queue until a test runs them.
        self.enqueue.side_effect = None
        self.enqueue.return_value = True
        fair_shares._last.clear()
        names = ("alice", "bob", "carol")
        self.owners = [factories.key_of(name)[0].client_id for name in names]
        self.prepared: list[tuple[int, int]] = []
        wrapped = preparation.prepare

        def prepare(operation: Operation) -> None:
            self.prepared.append((operation.owner_id, operation.sequence))
            wrapped(operation)

        self.enterContext(mock.patch.object(preparation, "prepare", prepare))

    def begin(self, owner: int, number: int) -> Operation:
        command = commands.add(1, 1, [self.face(number)])
        return service.begin(command, owner_id=owner, timeout_s=0)

    def test_a_call_beside_another_clients_backlog_is_next_but_one_at_most(self) -> None:
        alice, bob, _ = self.owners
        backlog = [self.begin(alice, number) for number in range(20)]
        fresh = self.begin(bob, 1)
        for entry in backlog[:2]:
            tasks.execute(str(entry.pk))
        self.assertIn((bob, 1), self.prepared)
        fresh.refresh_from_db()
        self.assertTrue(fresh.has_ended)

    def test_each_entry_prepares_one_and_all_are_applied_in_their_order(self) -> None:
        entries = [
            self.begin(owner, number)
            for owner, count in zip(self.owners, (3, 2, 1), strict=True)
            for number in range(count)
        ]
        for entry in entries:
            tasks.execute(str(entry.pk))
        self.assertEqual({owner for owner, _ in self.prepared[:3]}, set(self.owners))
        self.assertEqual(len(set(self.prepared)), 6)
        for owner in self.owners:
            own = [sequence for each, sequence in self.prepared if each == owner]
            self.assertEqual(own, sorted(own))
        self.assertEqual({each.status for each in Operation.objects.all()}, {"done"})

    def test_an_entry_of_a_prepared_call_applies_it_and_costs_no_turn(self) -> None:
        call, other = self.begin(self.owners[0], 1), self.begin(self.owners[1], 1)
        Operation.objects.filter(pk=call.pk).update(prepared_at=timezone.now())
        tasks.execute(str(call.pk))
        for each in (call, other):
            each.refresh_from_db()
            self.assertTrue(each.has_ended)

    def test_a_web_process_runs_its_own_call_and_no_other(self) -> None:
        waiting = self.begin(self.owners[0], 1)
        service.begin(commands.rename(1, 1, "Bob"), owner_id=self.owners[1], timeout_s=5)
        waiting.refresh_from_db()
        self.assertEqual((self.prepared, waiting.status), ([], "queued"))

    def test_a_turn_is_a_search_in_an_index(self) -> None:
        self.begin(self.owners[0], 1)
        if connection.vendor == "sqlite":
            text, parameters = fair_shares.statement(Operation)
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {text}", parameters)
                plan = str(cursor.fetchall())
            self.assertEqual(plan.count("operation_turns"), 2)
            self.assertNotIn("TEMP B-TREE", plan)

    def test_an_image_that_is_waited_for_is_not_behind_all_calls(self) -> None:
        """The kinds of the interactive queue take turns too."""
        backlog = [self.begin(self.owners[0], number) for number in range(5)]
        sent = image_factories.encoded(image_factories.faceless())
        file, sha256 = as_file(sent)
        id = analysis.request(file, owner=f"client:{self.owners[1]}", sha256=sha256)
        worker = Worker("turns", SimpleNamespace(value=0.0))
        worker._run_turn(Operation.task, str(backlog[0].pk))
        self.assertEqual(len(self.prepared), 1)
        self.assertIsNotNone(analysis.wait(id, timeout_s=0))
        worker._run_turn("backend.analysis.tasks.compute_many", f"{id},{id}")
        self.assertEqual(len(self.prepared), 2)
