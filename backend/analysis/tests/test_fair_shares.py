"""Clients whose requested images wait: each gets its turn, also beside requests of many images."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any
from unittest import mock

from django.core.files.base import ContentFile, File
from django.test import TransactionTestCase

import faceengine
from backend.analysis import batches, compute, services, tasks
from backend.analysis.models import Analysis
from backend.common import redis_clients
from backend.common.jobs import fair_shares, queues
from backend.common.jobs.models import Status
from backend.common.jobs.worker import Worker
from tests.support import image_factories


class TurnTests(TransactionTestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        fair_shares._last.clear()
        self.batches: list[set[str]] = []
        wrapped = batches._together

        def together(analyses: list[Analysis], detector: faceengine.Detector) -> None:
            self.batches.append({each.owner for each in analyses})
            wrapped(analyses, detector)

        self.enterContext(mock.patch.object(batches, "_together", together))

    def request(self, owner: str, count: int) -> list[str]:
        """Request `count` images in one go; returns the arguments of their entries."""
        images = [_image(f"{owner} {number}") for number in range(count)]
        with mock.patch.object(queues, "enqueue", wraps=queues.enqueue) as enqueue:
            services.request_many(images, owner=owner)
        return [call.args[2] for call in enqueue.call_args_list]

    def left(self, owner: str) -> int:
        return Analysis.objects.filter(owner=owner, status=Status.QUEUED).count()

    def test_one_image_beside_a_request_of_many_is_in_the_next_entry_but_one(self) -> None:
        entries = self.request("client:1", 40)
        self.request("client:2", 1)
        for entry in entries[:2]:
            tasks.compute_many(entry)
        self.assertEqual(self.left("client:2"), 0)

    def test_entries_of_any_size_are_for_as_many_images(self) -> None:
        entries = [
            *self.request("client:1", 11),
            *self.request("client:2", 1),
            *self.request("client:3", 3),
        ]
        for entry in entries:
            tasks.compute_many(entry)
        statuses = set(Analysis.objects.values_list("status", flat=True))
        self.assertEqual(statuses, {Status.DONE.value})

    def test_images_of_two_clients_are_never_in_one_batch(self) -> None:
        """One that crashes its worker costs an attempt of its own client's images alone."""
        for entry in [*self.request("client:1", 6), *self.request("client:2", 6)]:
            tasks.compute_many(entry)
        self.assertEqual({len(owners) for owners in self.batches}, {1})

    def test_a_request_whose_bytes_are_not_stored_yet_has_no_turn(self) -> None:
        row = Analysis.objects.create(**compute.key("client:1", "0" * 64, ""))
        self.assertIsNone(fair_shares.claim(Analysis))
        self.assertIsNone(Analysis.claim(row.pk))

    def test_a_worker_takes_an_entry_of_many_from_the_queue(self) -> None:
        self.request("client:1", 3)
        Worker("batches", SimpleNamespace(value=0.0)).run_next()
        self.assertEqual(self.left("client:1"), 0)
        self.assertEqual(queues.length(queues.INTERACTIVE), 0)


def _image(comment: str) -> tuple[File[Any], str]:
    data = image_factories.encoded(image_factories.faceless(), comment=comment.encode())
    return ContentFile(data), hashlib.sha256(data).hexdigest()
