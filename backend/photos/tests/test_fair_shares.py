"""Photos, references and archives that wait: albums and members take turns, and so do the kinds."""

from types import SimpleNamespace
from unittest import mock

from django.db import connection
from django.test import TransactionTestCase

from backend.common.jobs import fair_shares, queues
from backend.common.jobs.models import Job, Status
from backend.common.jobs.worker import Worker
from backend.photos import tasks
from backend.photos.models import Album, ArchiveUpload, ClusteringJob, Photo, Reference
from backend.photos.tests import factories


class TurnTests(TransactionTestCase):
    def setUp(self) -> None:
        fair_shares._last.clear()
        # Entries stay in the queue until a test runs them.
        self.enterContext(mock.patch.object(queues, "enqueue", return_value=True))

    def photos(self, album: Album, count: int) -> list[Photo]:
        return [factories.photo(album, factories.jpeg(f"{n} of {album.pk}")) for n in range(count)]

    def test_a_photo_beside_another_albums_backlog_is_next_but_one_at_most(self) -> None:
        backlog = self.photos(factories.album("large"), 5)
        (fresh,) = self.photos(factories.album("small"), 1)
        for entry in backlog[:2]:
            tasks.process_photo(str(entry.pk))
        fresh.refresh_from_db()
        self.assertEqual(fresh.status, Status.DONE)
        self.assertFalse(fresh.album.is_processing)

    def test_members_take_turns(self) -> None:
        mine = [factories.reference(factories.member("a"), factories.jpeg(str(n))) for n in (1, 2)]
        other = factories.reference(factories.member("b"), factories.jpeg("3"))
        for entry in mine:
            tasks.process_reference(str(entry.pk))
        other.refresh_from_db()
        self.assertEqual(other.status, Status.DONE)

    def test_archives_of_albums_take_turns(self) -> None:
        content = factories.zipped({"1.jpg": factories.jpeg("1")})
        large, small = factories.album("large"), factories.album("small")
        mine = [factories.archive(large, content) for _ in range(2)]
        other = factories.archive(small, content)
        for entry in mine:
            tasks.unpack(str(entry.pk))
        other.refresh_from_db()
        self.assertEqual(other.status, Status.DONE)

    def test_kinds_take_turns_with_each_other(self) -> None:
        backlog = self.photos(factories.album(), 3)
        reference = factories.reference(factories.member(), factories.jpeg("r"))
        archive = factories.archive(factories.album("other"), factories.zipped({}))
        ClusteringJob.objects.create()
        worker = Worker("turns", SimpleNamespace(value=0.0))
        worker._run_turn(Photo.task, str(backlog[0].pk))
        self.assertEqual(Photo.objects.filter(status=Status.DONE).count(), 1)
        for row in (reference, archive, ClusteringJob.objects.get()):
            row.refresh_from_db()
            self.assertNotEqual(row.status, Status.QUEUED, row)

    def test_a_turn_is_a_search_in_an_index(self) -> None:
        kinds: list[type[Job]] = [Photo, Reference, ArchiveUpload]
        for model in kinds if connection.vendor == "sqlite" else []:
            text, parameters = fair_shares.statement(model)
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {text}", parameters)
                plan = str(cursor.fetchall())
            self.assertEqual(plan.count("_turns"), 2, plan)
            self.assertNotIn("TEMP B-TREE", plan)
