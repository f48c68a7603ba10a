"""What links begin with: SERVICE_URL, or without it the address by which the request came."""

from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.test import TestCase, override_settings

from backend.clients.auth import signed_urls
from backend.common import redis_clients
from backend.submissions import events, tasks
from backend.submissions.models import Submission
from tests.support import samples
from wire import events as wire


@override_settings(LINKS_FOLLOW_REQUEST=True, ALLOWED_HOSTS=["testserver", "192.168.1.5"])
class LinkTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    def upload(self, **headers: str) -> dict[str, str]:
        image = ContentFile(samples.face(), name="a.jpg")
        answer = self.client.post("/image/", {"image": image}, headers=headers)
        self.assertEqual(answer.status_code, 202, answer.content)
        body: dict[str, str] = answer.json()
        return body

    def test_without_a_url_they_have_the_host_and_scheme_of_the_request(self) -> None:
        for headers, base in (
            ({}, "http://testserver"),
            ({"host": "192.168.1.5:8282"}, "http://192.168.1.5:8282"),
            ({"host": "testserver", "x-forwarded-proto": "https"}, "https://testserver"),
        ):
            body = self.upload(**headers)
            self.assertEqual(body["status_url"], f"{base}/image/{body['id']}/")
            self.assertEqual(body["feed_url"], f"{base}/faces".replace("http", "ws", 1))
            status = self.client.get(f"/image/{body['id']}/", headers=headers).json()
            self.assertEqual(status["original_url"], f"{base}/image/{body['id']}/original")

    @override_settings(LINKS_FOLLOW_REQUEST=False, SERVICE_URL="https://faces.example")
    def test_a_url_counts_for_every_request(self) -> None:
        self.assertEqual(urlsplit(self.upload()["status_url"]).netloc, "faces.example")

    @override_settings(FACES_BASE_PATH="/faces-app", FORCE_SCRIPT_NAME="/faces-app")
    def test_below_a_path_they_begin_with_it_and_their_signatures_hold(self) -> None:
        body = self.upload()
        base = "http://testserver/faces-app"
        self.assertEqual(body["status_url"], f"{base}/image/{body['id']}/")
        with self.settings(FACES_REQUIRE_API_KEY=True):
            path = f"/image/{body['id']}/original"
            for given in (path, f"/faces-app{path}"):
                link = signed_urls.signed(given, base=base)
                self.assertTrue(link.startswith(f"{base}{path}?expires="))
                answer = self.client.get(link.removeprefix(base))
                self.assertEqual(answer.status_code, 200)

    def test_events_of_workers_have_the_url_that_the_websocket_server_replaces(self) -> None:
        body = self.upload()
        tasks.process(body["id"])
        entries: Any = redis_clients.default().xrange(wire.STREAM)
        self.assertIn(f'"image_url": "{settings.SERVICE_URL}/static/', str(entries[-1]))

    def test_outside_of_a_request_no_host_is_made_up(self) -> None:
        submission = mock.Mock(spec=Submission, pk=1, owner_id=1)
        with self.settings(FACES_REQUIRE_API_KEY=False):
            self.assertEqual(
                events.original_url(submission), f"{settings.SERVICE_URL}/image/1/original"
            )
