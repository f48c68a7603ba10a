"""Sessions of the admin that have ended go by themselves."""

from datetime import timedelta
from unittest import mock

import redis
from django.contrib.sessions.models import Session
from django.test import TestCase
from django.utils import timezone

from backend.clients import tasks
from backend.common import redis_clients


class SessionTests(TestCase):
    def setUp(self) -> None:
        redis_clients.short().flushdb()
        for name, hours in (("over", -1), ("running", 1)):
            ends = timezone.now() + timedelta(hours=hours)
            Session.objects.create(session_key=name, session_data="", expire_date=ends)

    def left(self) -> set[str]:
        return set(Session.objects.values_list("session_key", flat=True))

    def test_the_sweep_clears_those_that_have_ended(self) -> None:
        tasks.sweep()
        self.assertEqual(self.left(), {"running"})

    def test_it_looks_once_a_day(self) -> None:
        tasks.sweep()
        Session.objects.update(expire_date=timezone.now() - timedelta(hours=1))
        tasks.sweep()
        self.assertEqual(self.left(), {"running"})
        redis_clients.short().delete("faces:sessions-cleared")
        tasks.sweep()
        self.assertEqual(self.left(), set())

    def test_without_redis_the_sweep_goes_on(self) -> None:
        with mock.patch.object(redis_clients.short(), "set", side_effect=redis.ConnectionError):
            tasks.sweep()
        self.assertEqual(self.left(), {"over", "running"})
