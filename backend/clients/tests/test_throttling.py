"""How often one caller may ask."""

import json
import uuid
from typing import Any
from unittest import mock

import redis
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings

from backend.analysis import services
from backend.clients.limits import login_rate
from backend.clients.models import Scope
from backend.clients.tests import factories
from backend.common import redis_clients
from backend.common.http import admission
from tests.support.bounded_cpu import bounded_cpu


class UploadRateTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    def statuses(self, count: int, **headers: str) -> list[int]:
        return [self.client.post("/image/", headers=headers).status_code for _ in range(count)]

    @override_settings(FACES_UPLOAD_RATE=(2, 3600))
    def test_the_third_upload_of_an_address_gets_a_retry_after(self) -> None:
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
    def test_without_redis_every_request_is_allowed(self) -> None:
        with mock.patch.object(redis_clients, "counters", side_effect=redis.ConnectionError):
            self.assertEqual(self.statuses(3), [400] * 3)


class CallerKeyTests(TestCase):
    """The caller for whom an upload takes decoders and waiting threads."""

    def counted(self, **options: Any) -> str | None:
        keys: list[str | None] = []

        def check(_: object) -> None:
            keys.append(admission.caller_key.get())
            raise services.AnalysisError("Seen.", permanent=True)

        with mock.patch.object(services, "check_image", check):
            file = SimpleUploadedFile("image.jpg", b"an image")
            answer = self.client.post("/generate_face_encoding", {"upload_file": file}, **options)
        self.assertEqual(len(keys), 1, answer.content)
        return keys[0]

    def test_it_is_a_client_by_its_key_and_an_address_without_one(self) -> None:
        alice = factories.headers("alice")
        keys = [
            self.counted(headers={"x-real-ip": "10.1.1.1"}),
            self.counted(headers={"x-real-ip": "10.1.1.2"}),
            self.counted(headers={**alice, "x-real-ip": "10.1.1.1"}),
            self.counted(headers={**alice, "x-real-ip": "10.1.1.2"}),
        ]
        self.assertEqual(keys[:2], ["address=10.1.1.1", "address=10.1.1.2"])
        self.assertRegex(str(keys[2]), r"^client=\d+$")
        self.assertEqual(keys[2], keys[3])
        self.assertIsNone(admission.caller_key.get())


class ChargeTests(TestCase):
    """A client is charged for what it causes, and others at its address are not."""

    def setUp(self) -> None:
        cache.clear()
        self.alice, self.bob = (factories.headers(name) for name in ("alice", "bob"))

    def status(self, headers: dict[str, str], path: str = "/client/", address: str = "") -> int:
        sent = {**headers, **({"x-real-ip": address} if address else {})}
        return self.client.get(path, headers=sent).status_code

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_a_client_uses_up_its_own_rate_alone(self) -> None:
        statuses = [self.status(self.alice) for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])
        self.assertEqual(self.status(self.bob), 200)
        self.assertEqual(self.status({}), 200)
        self.assertEqual(self.status(self.alice, address="10.9.9.9"), 429)

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_callers_without_a_key_use_up_that_of_their_address_alone(self) -> None:
        self.assertEqual([self.status({}) for _ in range(3)], [200, 200, 429])
        wrong = {"authorization": "Bearer wrong.key"}
        self.assertEqual(self.status(wrong), 429)
        self.assertEqual(self.status(self.alice), 200)

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_a_refusal_for_its_scope_is_charged_to_the_client(self) -> None:
        uploader = factories.headers("carol", scopes=[Scope.UPLOAD])
        self.assertEqual([self.status(uploader) for _ in range(3)], [403, 403, 429])
        self.assertEqual(self.status({}), 200)

    def enrol(self, count: int, headers: dict[str, str]) -> int:
        return self.client.post(
            "/recognition/users/1/contacts/1/faces/",
            json.dumps({"faces": [{}] * count}),
            content_type="application/json",
            headers=headers,
        ).status_code

    @override_settings(FACES_UPLOAD_RATE=(6000, 3600))
    def test_a_call_that_is_refused_for_its_size_costs_one(self) -> None:
        for headers in ({}, self.alice):
            with self.subTest(headers):
                for count in (6001, 101, 6001):
                    self.assertEqual(self.enrol(count, headers), 400)
                self.assertEqual(self.client.post("/image/", headers=headers).status_code, 400)
                self.assertEqual(_largest("uploads"), 4)
                cache.clear()

    @override_settings(FACES_UPLOAD_RATE=(50, 3600))
    def test_a_call_that_does_not_fit_into_the_rate_costs_one(self) -> None:
        self.assertEqual([self.enrol(100, {}) for _ in range(3)], [429] * 3)
        self.assertEqual(self.enrol(40, {}), 400)
        self.assertEqual(_largest("uploads"), 43)

    @override_settings(FACES_UPLOAD_RATE=(50, 3600))
    def test_a_batch_of_too_many_images_costs_one(self) -> None:
        files = [SimpleUploadedFile(f"{n}.jpg", b"x") for n in range(33)]
        answer = self.client.post("/face_encodings/batch", {"upload_file": files})
        self.assertEqual((answer.status_code, _largest("uploads")), (422, 1))


def _largest(name: str) -> int:
    client = cache._cache.get_client()  # type: ignore[attr-defined]
    return max(int(client.get(key)) for key in client.keys(f"*{name}*"))


class RefusedRequestTests(TestCase):
    """Who is refused at the door is counted as well, or the door could be tried without end."""

    def setUp(self) -> None:
        cache.clear()

    def statuses(self, path: str, count: int, **headers: str) -> list[int]:
        return [self.client.get(path, headers=headers).status_code for _ in range(count)]

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_bad_keys_are_limited(self) -> None:
        statuses = self.statuses("/client/", 4, authorization="Bearer wrong.key")
        self.assertEqual(statuses, [401, 401, 429, 429])

    @override_settings(FACES_REQUEST_RATE=(2, 3600), FACES_REQUIRE_API_KEY=True)
    def test_missing_keys_are_limited(self) -> None:
        self.assertEqual(self.statuses("/client/", 3), [401, 401, 429])

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_forged_links_are_limited(self) -> None:
        path = f"/image/{uuid.uuid4()}/original?expires=1&signature=x"
        self.assertEqual(self.statuses(path, 3), [403, 403, 429])

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_a_key_beyond_its_scope_is_limited(self) -> None:
        headers = factories.headers("alice", scopes=[Scope.UPLOAD])
        self.assertEqual(self.statuses("/client/", 3, **headers), [403, 403, 429])

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_a_request_that_is_served_is_counted_once(self) -> None:
        self.assertEqual(self.statuses("/client/", 3), [200, 200, 429])


class LoginNameTests(TestCase):
    """Every spelling that the login form takes for one name is counted as that name."""

    SPELLINGS = (
        "alice", " alice", "alice ", "\talice\n", "\u00a0alice\u2003", "\uff41lice", "\u2090lice",
        "al\u2170ce", "\u24d0lice", "\U0001d41alice", "\uff41\uff4c\uff49\uff43\uff45",
    )  # fmt: skip

    def test_one_counter_for_all_spellings(self) -> None:
        form = AuthenticationForm().fields["username"]
        for path in ("/admin/login/", "/members/login/"):
            cache.clear()
            with override_settings(FACES_LOGIN_RATE=(2, 86_400)):
                for number, name in enumerate(self.SPELLINGS):
                    with self.subTest(path, name=name):
                        self.assertEqual(form.clean(name), "alice")
                        answer = self.client.post(
                            path,
                            {"username": name, "password": "wrong"},
                            headers={"x-real-ip": f"10.1.0.{number}"},
                        )
                        self.assertEqual(answer.status_code, 200 if number < 2 else 429)

    def test_any_text_is_a_name(self) -> None:
        for name in ("\ud800", "", "\x00", "x" * 100_000):
            with self.subTest(name[:3]):
                rate = login_rate.LoginRate()
                with mock.patch.object(rate, "username", return_value=name):
                    *_, key = rate.keys(mock.Mock(META={}))
                self.assertRegex(key, "^name=[0-9a-f]{64}$")

    def test_a_hostile_name_takes_no_longer_than_its_length(self) -> None:
        name = "a" + "\u0315" * 100_000 + "\u0300" * 100_000
        for path in ("/admin/login/", "/members/login/", "/accounts/password/reset/"):
            with bounded_cpu():
                sent = {"username": name, "email": name, "password": "wrong"}
                self.assertLess(self.client.post(path, sent).status_code, 500)


class AddressTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    @override_settings(FACES_REQUEST_RATE=(1, 3600))
    def test_the_addresses_of_one_ipv6_network_count_as_one(self) -> None:
        found = [
            self.client.get("/client/", headers={"x-real-ip": address}).status_code
            for address in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")
        ]
        self.assertEqual(found, [200, 429, 200])

    @override_settings(FACES_REQUEST_RATE=(1, 1))
    def test_a_count_outlives_its_window(self) -> None:
        # It could end between being found and being raised, and that was an error.
        with mock.patch("time.time", return_value=1000.999):
            self.client.get("/client/")
        (key,) = cache._cache.get_client().keys("*requests*")  # type: ignore[attr-defined]
        self.assertGreater(cache._cache.get_client().pttl(key), 1000)  # type: ignore[attr-defined]
