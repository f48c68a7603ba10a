"""Webhooks: what ended is sent once, in order, signed; a server that is down gets it later."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any
from unittest import mock

from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from backend.clients import erasure
from backend.clients.models import ANONYMOUS_ID, AuditEntry
from backend.clients.tests import factories
from backend.common.jobs.models import Status
from backend.recognition.tests import submissions
from backend.recognition.tests.factories import near, person
from backend.recognition.tests.test_every_face import RECOGNISE, EveryFaceCase
from backend.submissions import services as submission_services
from backend.submissions.models import Submission
from backend.webhooks import services, signatures, tasks
from backend.webhooks.models import REQUESTABLE, Delivery, Webhook
from backend.webhooks.tests.receiver import Receiver


class WebhookCase(EveryFaceCase):
    """A gallery with Ann and Bea, and a receiver that takes everything."""

    def setUp(self) -> None:
        super().setUp()
        self.receiver = self.enterContext(Receiver())

    def webhook(self, *events: str, user_id: int | None = None, url: str = "") -> Webhook:
        return services.create(
            ANONYMOUS_ID,
            url=url or self.receiver.address,
            events=events or REQUESTABLE,
            user_id=user_id,
            actor="test",
        )

    def ended(self, *encodings: Any) -> Submission:
        submission = submissions.done(*encodings)
        submission_services.publish(submission)
        return submission

    def state(self, webhook: Webhook) -> Status:
        webhook.refresh_from_db()
        return Status(webhook.status)


class DeliveryTests(WebhookCase):
    def test_an_ended_submission_is_sent_once_with_its_event_and_signature(self) -> None:
        webhook = self.webhook("submission.ended")
        submission = self.ended(person())
        submission_services.publish(submission)  # as after Redis was emptied
        (body,) = self.receiver.bodies
        self.assertEqual((body["type"], body["data"]["outcome"]), ("submission.ended", "faces"))
        self.assertEqual(body["data"]["submission_id"], str(submission.pk))
        self.assertEqual(len(body["data"]["faces"]), 1)
        self.assertEqual(self.receiver.signatures_by(signatures.secret(webhook.pk)), [True])
        self.assertEqual(self.receiver.headers[0]["Content-Type"], "application/json")
        self.assertEqual(self.state(webhook), Status.DONE)

    def test_a_second_outcome_of_a_retried_submission_is_sent_as_well(self) -> None:
        self.webhook("submission.ended")
        submission = self.ended()
        later = submission.processed_at + timedelta(seconds=1)  # type: ignore[operator]
        Submission.objects.filter(pk=submission.pk).update(processed_at=later)
        submission.refresh_from_db()
        submission_services.publish(submission)
        self.assertEqual(len(self.receiver.bodies), 2)

    def test_a_known_person_in_an_upload_is_sent_with_name_and_box(self) -> None:
        self.webhook("person.recognised", user_id=1)
        submission = self.ended(person(), near(self.ann, 0.2))
        (body,) = self.receiver.bodies
        self.assertEqual(body["type"], "person.recognised")
        self.assertEqual(body["data"]["submission_id"], str(submission.pk))
        (face,) = body["data"]["faces"]
        self.assertEqual((face["face"], face["name"], face["contact_id"]), (1, "Ann", 2))
        self.assertEqual(face["certainty"], "sure")
        self.assertEqual(face["box"], {"top": 20, "right": 180, "bottom": 80, "left": 120})

    def test_of_an_unknown_person_nothing_is_sent(self) -> None:
        webhook = self.webhook("person.recognised", user_id=1)
        self.ended(person())
        self.assertEqual(self.receiver.bodies, [])
        self.assertEqual((self.state(webhook), Delivery.objects.count()), (Status.DONE, 0))

    def test_a_recognition_by_a_call_is_sent_too(self) -> None:
        self.webhook("person.recognised")
        self.webhook("person.recognised", user_id=99)  # another gallery's
        url = self.probe(self.bea)
        self.recognise({"face_url": url})
        self.recognise({"face_url": url, "faces": "all"})
        self.recognise({"face_url": self.probe(person())})
        names = [face["name"] for body in self.receiver.bodies for face in body["data"]["faces"]]
        self.assertEqual(names, ["Bea", "Bea"])
        self.assertEqual({body["data"]["user_id"] for body in self.receiver.bodies}, {1})

    def test_another_client_gets_nothing(self) -> None:
        owner = factories.client("alice").pk
        services.create(
            owner, url=self.receiver.address, events=REQUESTABLE, user_id=1, actor="test"
        )
        self.ended(near(self.ann, 0.2))
        self.call("post", RECOGNISE, {"face_url": self.probe(self.ann)})
        self.assertEqual(self.receiver.bodies, [])

    def test_what_is_erased_before_it_is_sent_is_not_sent(self) -> None:
        webhook = self.webhook()
        with mock.patch.object(Webhook, "enqueue", return_value=True):
            submission = self.ended(person())
        submission_services.erase(submission)
        self.assertEqual(Delivery.objects.count(), 0)
        tasks.send(str(webhook.pk))
        self.assertEqual((self.receiver.bodies, self.state(webhook)), ([], Status.DONE))

    @override_settings(SECRET_KEY_FALLBACKS=["an-older-key-of-more-than-32-characters"])
    def test_while_an_older_key_is_kept_both_sign(self) -> None:
        webhook = self.webhook()
        with self.settings(SECRET_KEY=settings.SECRET_KEY_FALLBACKS[0]):
            older = signatures.secret(webhook.pk)
        services.ping(webhook)
        self.assertEqual(self.receiver.signatures_by(signatures.secret(webhook.pk)), [True, False])
        self.assertEqual(self.receiver.signatures_by(older), [False, True])


class FailureTests(WebhookCase):
    def test_a_server_that_is_down_gets_all_later_in_order(self) -> None:
        self.receiver.statuses = [500, 204]
        webhook = self.webhook("submission.ended")
        first, second = self.ended(), self.ended(person())
        self.assertEqual(self.state(webhook), Status.QUEUED)
        self.assertGreater(webhook.due_at, timezone.now())
        self.assertEqual(len(self.receiver.bodies), 1)
        self.due(webhook)
        ids = [body["data"]["submission_id"] for body in self.receiver.bodies]
        self.assertEqual(ids, [str(first.pk), str(first.pk), str(second.pk)])
        repeats = {headers["webhook-id"] for headers in self.receiver.headers[:2]}
        self.assertEqual(len(repeats), 1)
        self.assertEqual((self.state(webhook), webhook.attempts), (Status.DONE, 1))

    def test_after_too_many_attempts_the_next_event_begins_again(self) -> None:
        self.receiver.statuses = [503]
        webhook = self.webhook("submission.ended")
        with self.settings(FACES_MAX_RETRIES=1):
            self.ended()
            self.due(webhook)
        self.assertEqual(self.state(webhook), Status.FAILED)
        self.assertEqual(webhook.reason, "The server answered 503.")
        self.receiver.statuses = [204]
        second = self.ended(person())
        self.assertEqual(self.receiver.bodies[-1]["data"]["submission_id"], str(second.pk))
        self.assertEqual((self.state(webhook), len(self.receiver.bodies)), (Status.DONE, 3))

    def test_a_retry_sends_what_waits(self) -> None:
        webhook = self.webhook("submission.ended")
        self.receiver.statuses = [503, 503, 204]
        with self.settings(FACES_MAX_RETRIES=0):
            self.ended()
            self.ended(person())
        self.assertEqual(self.state(webhook), Status.FAILED)
        Delivery.objects.update(is_waiting=True)
        self.assertTrue(services.retry(webhook))
        self.assertEqual((self.state(webhook), len(self.receiver.bodies)), (Status.DONE, 4))
        self.assertFalse(services.retry(webhook))

    def test_a_body_that_is_refused_holds_no_other_up(self) -> None:
        self.receiver.statuses = [422, 204]
        webhook = self.webhook("submission.ended")
        self.ended()
        self.ended(person())
        self.assertEqual((self.state(webhook), len(self.receiver.bodies)), (Status.DONE, 2))
        self.assertEqual(Delivery.objects.exclude(reason="").count(), 1)

    def test_a_private_address_that_is_not_allowed_any_more_is_not_reached(self) -> None:
        webhook = self.webhook("submission.ended")
        with self.settings(FACES_DOWNLOAD_ALLOWED_HOSTS=[]):
            self.ended()
        self.assertEqual((self.state(webhook), self.receiver.bodies), (Status.FAILED, []))
        self.assertEqual(webhook.reason, "127.0.0.1 is not a public address.")

    def test_an_event_that_is_stored_while_the_last_is_sent_is_sent(self) -> None:
        webhook = self.webhook("submission.ended")
        real, late = Webhook.succeed, [True]

        def succeed(row: Webhook, **results: Any) -> bool:
            if late.pop() if late else False:
                self.ended(person())  # finds the webhook in work
            return real(row, **results)

        with mock.patch.object(Webhook, "succeed", succeed):
            self.ended()
        self.assertEqual((len(self.receiver.bodies), self.state(webhook)), (2, Status.DONE))

    def test_the_sweep_sends_what_a_dead_process_stored(self) -> None:
        webhook = self.webhook("submission.ended")
        about = {"event": "ping", "subject": "none", "subject_id": uuid.uuid4()}
        Delivery.objects.create(webhook=webhook, ended_at=timezone.now(), **about)
        tasks.sweep()
        self.assertEqual(self.receiver.types, ["ping"])

    def test_the_sweep_deletes_what_is_a_day_old(self) -> None:
        self.webhook("submission.ended")
        self.ended()
        Delivery.objects.update(created_at=timezone.now() - timedelta(hours=25))
        tasks.sweep()
        self.assertEqual(Delivery.objects.count(), 0)

    def test_a_long_row_of_events_lets_others_have_their_turn(self) -> None:
        webhook = self.webhook("submission.ended")
        with (
            mock.patch.object(Webhook, "enqueue", return_value=True),
            mock.patch.object(services, "_A_TURN_S", -1.0),
        ):
            self.ended()
            tasks.send(str(webhook.pk))
        self.assertEqual((self.state(webhook), webhook.attempts), (Status.QUEUED, 0))

    def due(self, webhook: Webhook) -> None:
        """As the sweep does when its pause is over."""
        Webhook.objects.update(due_at=timezone.now())
        tasks.send(str(webhook.pk))


class ApiTests(WebhookCase):
    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = factories.headers("alice"), factories.headers("bob")

    def made(self, **wanted: Any) -> Any:
        body = {"url": self.receiver.address, "events": ["submission.ended"], **wanted}
        return self.call("post", "/webhooks/", body, **self.alice)

    def test_made_listed_tried_deleted(self) -> None:
        answer = self.made(user_id=3)
        self.assertEqual(answer.status_code, 201, answer.content)
        made = answer.json()
        path = f"/webhooks/{made['id']}/"
        self.assertTrue(answer["Location"].endswith(path))
        self.assertEqual((made["state"], made["user_id"]), ("idle", 3))
        ping = self.call("post", f"{path}ping/", None, **self.alice)
        self.assertEqual((ping.status_code, self.receiver.types), (202, ["ping"]))
        self.assertEqual(self.receiver.headers[0]["webhook-id"], ping.json()["delivery_id"])
        self.assertEqual(self.receiver.signatures_by(made["secret"]), [True])
        (listed,) = self.call("get", "/webhooks/", None, **self.alice).json()["results"]
        self.assertIsNotNone(listed["last_sent_at"])
        self.assertEqual(self.call("delete", path, None, **self.alice).status_code, 204)
        self.assertEqual(self.call("get", path, None, **self.alice).status_code, 404)
        actions = AuditEntry.objects.filter(subject=made["id"]).values_list("action", flat=True)
        self.assertEqual(sorted(actions), ["create webhook", "delete webhook"])

    def test_another_client_finds_nothing(self) -> None:
        path = f"/webhooks/{self.made().json()['id']}/"
        for method, target in (("get", path), ("delete", path), ("post", f"{path}ping/")):
            self.assertEqual(self.call(method, target, None, **self.bob).status_code, 404)
        self.assertEqual(self.call("get", "/webhooks/", None, **self.bob).json()["results"], [])

    def test_a_key_needs_the_scope_admin_and_no_key_is_not_enough(self) -> None:
        others = [scope for scope in factories.EVERYTHING if scope != "admin"]
        path = f"/webhooks/{self.made().json()['id']}/"
        for headers in ({}, factories.headers("alice", others)):
            for method, target in (
                ("get", "/webhooks/"),
                ("post", "/webhooks/"),
                ("get", path),
                ("delete", path),
                ("post", f"{path}ping/"),
            ):
                self.assertEqual(self.call(method, target, None, **headers).status_code, 403)

    def test_what_cannot_be_sent_to_is_refused_at_once(self) -> None:
        for url in (
            "ftp://app.example/",
            "http://169.254.169.254/latest",
            "http://localhost:6379/",
            "https://user:secret@app.example/",
            "not a url",
            "https://app.example/" + "a" * 2000,
            "",
            7,
            None,
        ):
            answer = self.made(url=url)
            self.assertEqual(answer.status_code, 400, (url, answer.content))
            self.assertEqual([*answer.json()], ["url"])
        bad: Any
        for bad in ([], ["ping"], ["submission.ended"] * 3, "submission.ended", None, [[]]):
            self.assertEqual([*self.made(events=bad).json()], ["events"], bad)
        for bad in (-1, 2**63, "x", [], 1.5):
            self.assertEqual([*self.made(user_id=bad).json()], ["user_id"], bad)

    def test_an_eleventh_is_refused(self) -> None:
        for _ in range(services.MOST_WEBHOOKS):
            self.assertEqual(self.made().status_code, 201)
        self.assertEqual(self.made().json(), {"url": ["A client has at most 10 webhooks."]})

    def test_erasure_of_a_client_deletes_its_webhooks(self) -> None:
        self.made()
        erasure.erase_now(factories.client("alice").pk, actor="test")
        self.assertEqual(Webhook.objects.count(), 0)
