"""Every listener gets each event it asked for."""

import json
import logging
from typing import Any

from wire.events import OF_SUBMISSIONS, STREAM, Outcome, from_entry
from wsserver.tests.support import ServerTestCase, listening, received, received_ids


class FanOut(ServerTestCase):
    async def test_every_listener_gets_one_frame_for_a_submission_with_faces(self) -> None:
        async with (
            self.serving() as address,
            listening(address) as alice,
            listening(address, "/") as bob,
        ):
            first, second = self.publish(), self.publish()
            self.assertEqual(await received_ids(alice, 2), [first, second])
            self.assertEqual(await received_ids(bob, 2), [first, second])

    async def test_the_frame_is_what_the_contract_says_and_begins_with_its_keys(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.publish()
            frame = await received(alice)
        rows: Any = self.redis.xrange(STREAM)
        event_id, fields = rows[0]
        self.assertEqual(frame, json.loads(from_entry(event_id, fields)["frame"]))
        contract = ["message", "created_at", "processed_at", "faces_count", "image_url"]
        self.assertEqual(list(frame)[:5], contract)
        self.assertEqual(frame["message"], "Successful face detection")
        self.assertEqual(frame["faces_count"], 2)
        self.assertEqual(frame["event_id"], event_id)

    async def test_what_ended_without_faces_is_not_sent_to_who_did_not_ask(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.publish(Outcome.NO_FACES)
            self.publish(Outcome.FAILED)
            await self.assert_silent(alice)

    async def test_a_listener_may_ask_for_all_outcomes(self) -> None:
        async with self.serving() as address, listening(address, "?outcomes=all") as alice:
            self.publish(Outcome.OPERATION)
            sent = [self.publish(outcome) for outcome in Outcome if outcome in OF_SUBMISSIONS]
            self.assertEqual(await received_ids(alice, 3), sent)

    async def test_a_listener_may_ask_for_operations(self) -> None:
        async with self.serving() as address, listening(address, "?outcomes=operation") as alice:
            self.publish(Outcome.FACES)
            sent = [self.publish(Outcome.OPERATION), self.publish(Outcome.OPERATION)]
            self.assertEqual(await received_ids(alice, 2), sent)

    async def test_a_listener_may_ask_for_some_outcomes(self) -> None:
        async with (
            self.serving() as address,
            listening(address, "?outcomes=failed,no_faces") as alice,
        ):
            self.publish(Outcome.FACES)
            wanted = [self.publish(Outcome.NO_FACES), self.publish(Outcome.FAILED)]
            self.assertEqual(await received_ids(alice, 2), wanted)

    async def test_what_ended_before_the_server_started_is_not_sent(self) -> None:
        self.publish()
        async with self.serving() as address, listening(address) as alice:
            await self.assert_silent(alice)

    async def test_an_entry_that_is_no_event_is_skipped(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.redis.xadd(STREAM, {"nonsense": b"\xff\xfe"})
            self.redis.xadd(STREAM, {"submission_id": "x", "outcome": "faces", "event": "[]"})
            await self.assert_silent(alice)

    async def test_a_submission_added_twice_is_sent_once(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            once = self.publish()
            self.publish(submission_id=once)
            self.assertEqual(await received_ids(alice, 1), [once])
            await self.assert_silent(alice)

    async def test_two_servers_side_by_side_send_every_event(self) -> None:
        async with (
            self.serving() as one,
            self.serving() as other,
            listening(one) as alice,
            listening(other) as bob,
        ):
            sent = [self.publish() for _ in range(20)]
            self.assertEqual(await received_ids(alice, 20), sent)
            self.assertEqual(await received_ids(bob, 20), sent)

    async def test_a_burst_reaches_everyone_in_order(self) -> None:
        async with (
            self.serving() as address,
            listening(address) as alice,
            listening(address) as bob,
        ):
            sent = [self.publish() for _ in range(1200)]
            self.assertEqual(await received_ids(alice, 1200), sent)
            self.assertEqual(await received_ids(bob, 1200), sent)

    async def test_the_log_names_the_submission_that_was_sent(self) -> None:
        with self.assertLogs("wsserver.delivery.broadcaster", logging.INFO) as log:
            async with self.serving() as address, listening(address) as alice:
                submission_id = self.publish()
                await received(alice)
        self.assertIn(f"submission={submission_id} outcome=faces", log.output[0])
        self.assertIn("listeners=1", log.output[0])
