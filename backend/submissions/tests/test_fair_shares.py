"""Several clients with images that wait: each gets its turn."""

from datetime import timedelta
from unittest import mock

from django.db import connection
from django.test import TestCase
from django.utils import timezone

from backend.clients.tests import factories
from backend.common.jobs import fair_shares, runner
from backend.common.jobs.models import Status
from backend.submissions.models import Submission


class TurnTests(TestCase):
    def setUp(self) -> None:
        fair_shares._last.clear()
        self.owners = [factories.key_of(name)[0].client_id for name in ("alice", "bob", "carol")]

    def wait(self, owner: int, count: int) -> list[Submission]:
        """`count` submissions of a client, the first the oldest."""
        began = timezone.now() - timedelta(hours=1)
        rows = [
            Submission(
                owner_id=owner,
                sha256=f"{owner}-{number}",
                size_bytes=1,
                due_at=began + timedelta(seconds=number),
            )
            for number in range(count)
        ]
        return Submission.objects.bulk_create(rows)

    def run_next(self) -> str:
        """What a worker runs next, by its hash."""
        done: list[str] = []

        def do(row: Submission) -> None:
            done.append(row.sha256)
            row.succeed()

        runner.run_next(Submission, do)
        return done[0]

    def test_owners_take_turns_and_the_order_of_each_is_kept(self) -> None:
        alice, bob, carol = self.owners
        for owner, count in ((alice, 3), (bob, 2), (carol, 1)):
            self.wait(owner, count)
        ran = [self.run_next() for _ in range(6)]
        first, second, third = sorted(self.owners)
        self.assertEqual({each.split("-")[0] for each in ran[:3]}, set(map(str, self.owners)))
        for owner in (first, second, third):
            own = [each for each in ran if each.startswith(f"{owner}-")]
            self.assertEqual(own, sorted(own))
        self.assertEqual(len(set(ran)), 6)

    def test_a_single_upload_beside_a_backlog_is_next_but_one_at_most(self) -> None:
        alice, bob, _ = self.owners
        self.wait(alice, 200)
        for _ in range(5):
            self.run_next()
        (fresh,) = self.wait(bob, 1)
        self.assertIn(fresh.sha256, [self.run_next(), self.run_next()])

    def test_a_row_that_another_worker_was_faster_with_costs_no_turn(self) -> None:
        first, second = self.wait(self.owners[0], 2)
        Submission.objects.filter(pk=first.pk).update(status=Status.PROCESSING)
        done: list[str] = []
        with mock.patch.object(Submission, "succeed"):
            runner.run_next(Submission, lambda row: done.append(row.sha256))
        self.assertEqual(done, [second.sha256])

    def test_a_claim_that_waited_for_a_writer_finds_what_came_meanwhile(self) -> None:
        (row,) = self.wait(self.owners[0], 1)
        late = fair_shares.statement(Submission)
        with mock.patch.object(fair_shares, "_now", return_value="2000-01-01"):
            early = fair_shares.statement(Submission)
        with mock.patch.object(fair_shares, "statement", side_effect=[early, late]):
            self.assertEqual(fair_shares.claim(Submission), row)

    def test_what_is_not_due_yet_has_no_turn(self) -> None:
        self.wait(self.owners[0], 1)
        Submission.objects.update(due_at=timezone.now() + timedelta(hours=1))
        self.assertIsNone(fair_shares.claim(Submission))

    def test_a_turn_is_one_statement_and_a_search_in_an_index(self) -> None:
        self.wait(self.owners[0], 50)
        fair_shares.claim(Submission)
        with self.assertNumQueries(1):
            fair_shares.claim(Submission)
        if connection.vendor == "sqlite":
            text, parameters = fair_shares.statement(Submission)
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {text}", parameters)
                plan = str(cursor.fetchall())
            self.assertEqual(plan.count("submission_turns"), 2)
            self.assertNotIn("TEMP B-TREE", plan)
