"""Sessions of the admin that have ended go by themselves."""

from datetime import timedelta
from unittest import mock

import redis
from django.contrib.sessions.models import Session
from django.test import TestCase
from django.utils import timezone

from backend.common import redis_clients
from backend.common.jobs import sweep


class SessionTests(TestCase):
    def setUp(self) -> None:
        redis_clients.default().flushdb()
        for name, hours in (("over", -1), ("running", 1)):
            ends = timezone.now() + timedelta(hours=hours)
            Session.objects.create(session_key=name, session_data="", expire_date=ends)

    def left(self) -> set[str]:
        return set(Session.objects.values_list("session_key", flat=True))

    def test_the_sweep_deletes_expired_sessions(self) -> None:
        sweep.once()
        self.assertEqual(self.left(), {"running"})

    def test_it_looks_once_a_day(self) -> None:
        sweep.once()
        Session.objects.update(expire_date=timezone.now() - timedelta(hours=1))
        sweep.once()
        self.assertEqual(self.left(), {"running"})
        redis_clients.default().delete("faces:sessions-cleared")
        sweep.once()
        self.assertEqual(self.left(), set())

    def test_without_redis_the_sweep_goes_on(self) -> None:
        with mock.patch.object(redis_clients.default(), "set", side_effect=redis.ConnectionError):
            sweep.once()
        self.assertEqual(self.left(), {"over", "running"})
