"""How often one caller may ask."""

from unittest import mock

import redis
from django.core.cache import cache
from django.test import TestCase, override_settings


class UploadRateTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    def statuses(self, count: int, **headers: str) -> list[int]:
        return [self.client.post("/image/", headers=headers).status_code for _ in range(count)]

    @override_settings(FACES_UPLOAD_RATE=(2, 3600))
    def test_the_third_upload_of_an_address_is_told_when_to_come_back(self) -> None:
        self.assertEqual(self.statuses(3), [400, 400, 429])
        answer = self.client.post("/image/")
        self.assertTrue(0 < int(answer["Retry-After"]) <= 3600)
        self.assertEqual(list(answer.json()), ["detail"])

    @override_settings(FACES_UPLOAD_RATE=(1, 3600))
    def test_every_address_has_its_own_count(self) -> None:
        self.assertEqual(self.statuses(1, x_real_ip="10.1.1.1"), [400])
        self.assertEqual(self.statuses(2, x_real_ip="10.1.1.2"), [400, 429])

    @override_settings(FACES_UPLOAD_RATE=None)
    def test_no_limit_is_no_limit(self) -> None:
        self.assertEqual(set(self.statuses(20)), {400})

    @override_settings(FACES_UPLOAD_RATE=(1, 3600))
    def test_without_redis_nobody_is_turned_away(self) -> None:
        with mock.patch.object(cache, "add", side_effect=redis.ConnectionError):
            self.assertEqual(self.statuses(3), [400] * 3)
