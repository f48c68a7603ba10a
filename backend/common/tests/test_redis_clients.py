"""A connection to Redis that closes while redis-py looks at it."""

from unittest import mock

import redis
from django.test import SimpleTestCase
from redis.connection import DefaultParser

from backend.common import redis_clients


class ClosingTests(SimpleTestCase):
    def test_it_is_replaced_once_and_the_command_goes_on(self) -> None:
        for client in (redis_clients.default(), redis_clients.counters(), redis_clients.for_rq()):
            client.ping()
            gone = TypeError("argument must be an int, or have a fileno() method.")
            with mock.patch.object(DefaultParser, "can_read", side_effect=[gone, False]) as looked:
                self.assertTrue(client.ping())
            self.assertEqual(looked.call_count, 2)

    def test_twice_is_an_error_of_redis(self) -> None:
        client = redis_clients.default()
        client.ping()
        gone = AttributeError("'NoneType' object has no attribute 'fileno'")
        with (
            mock.patch.object(DefaultParser, "can_read", side_effect=gone),
            self.assertRaises(redis.ConnectionError),
        ):
            client.ping()
