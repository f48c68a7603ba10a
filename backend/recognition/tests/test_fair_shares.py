"""Clients with operations that wait: preparing takes turns, applying keeps each user's order."""

from __future__ import annotations

import socket
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from django.db import connection
from django.utils import timezone

from backend.analysis import services as analysis
from backend.clients.tests import factories
from backend.common.image_downloads import Hold
from backend.common.jobs import fair_shares
from backend.common.jobs.worker import Worker
from backend.recognition import tasks
from backend.recognition.gallery.probe import as_file
from backend.recognition.models import Operation
from backend.recognition.operations import commands, preparation, service
from backend.recognition.tests.base import RecognitionCase
from tests.support import image_factories


class TurnCase(RecognitionCase):
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

    def begin(self, owner: int, number: int, **face: Any) -> Operation:
        command = commands.add(1, 1, [self.face(number, **face)])
        return service.begin(command, owner_id=owner, timeout_s=0)


class TurnTests(TurnCase):
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


class DownloadTests(TurnCase):
    """A client whose servers keep silent, beside others that wait."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(mock.patch.object(fair_shares, "_OVERDUE", timedelta(0)))

    def in_work(self, owner: int, number: int) -> Operation:
        """In the hands of a worker that lives: this process."""
        operation = self.begin(owner, number)
        taken = Operation.claim(operation.pk)
        assert taken is not None
        return taken

    def test_downloads_go_on_while_no_other_client_waits(self) -> None:
        alice, _, _ = self.owners
        first, second = self.in_work(alice, 1), self.in_work(alice, 2)
        self.begin(alice, 3)
        self.assertEqual(list(map(fair_shares.hold, (first, second))), [Hold.ALL] * 2)

    def test_the_latest_of_a_clients_leaves_its_worker_and_the_earliest_begins_no_more(
        self,
    ) -> None:
        alice, bob, carol = self.owners
        ours = [self.in_work(alice, number) for number in range(3)]
        other = self.in_work(carol, 1)
        self.begin(bob, 1)
        expected = [Hold.BEGUN, Hold.BEGUN, Hold.NONE]
        self.assertEqual(list(map(fair_shares.hold, ours)), expected)
        self.assertIs(fair_shares.hold(other), Hold.BEGUN)

    def test_other_kinds_that_wait_count(self) -> None:
        alice, bob, _ = self.owners
        mine = self.in_work(alice, 1)
        sent = image_factories.encoded(image_factories.faceless())
        file, sha256 = as_file(sent)
        analysis.request(file, owner=f"client:{bob}", sha256=sha256)
        self.assertIs(fair_shares.hold(mine), Hold.BEGUN)

    def test_a_call_that_leaves_its_worker_goes_on_at_its_next_turn(self) -> None:
        alice, bob, _ = self.owners
        self.in_work(alice, 1)
        silent = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        call, fresh = self.begin(alice, 2, face_url=url), self.begin(bob, 1)
        tasks.execute(str(call.pk))
        call.refresh_from_db()
        self.assertEqual((call.status, call.attempts, call.prepared_at), ("queued", 0, None))
        tasks.execute(str(fresh.pk))
        fresh.refresh_from_db()
        self.assertTrue(fresh.has_ended)
        urls = {"0": self.face(2)["face_url"]}
        Operation.objects.filter(pk=call.pk).update(arguments={**call.arguments, "urls": urls})
        tasks.execute(str(call.pk))
        self.assertIsNotNone(Operation.objects.get(pk=call.pk).prepared_at)
