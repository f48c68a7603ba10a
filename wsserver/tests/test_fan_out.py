"""Every client receives each event it asked for."""

import json
import logging
from typing import Any

from wire.events import OF_SUBMISSIONS, STREAM, Outcome, from_entry
from wsserver.tests.base import ServerTestCase, listening, received, received_ids


class FanOut(ServerTestCase):
    async def test_every_client_receives_one_frame_for_a_submission_with_faces(self) -> None:
        async with (
            self.serving() as address,
            listening(address) as alice,
            listening(address, "/") as bob,
        ):
            first, second = self.publish(), self.publish()
            self.assertEqual(await received_ids(alice, 2), [first, second])
            self.assertEqual(await received_ids(bob, 2), [first, second])

    async def test_the_frame_begins_with_the_keys_of_the_contract(self) -> None:
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

    async def test_events_without_faces_are_not_sent_by_default(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.publish(Outcome.NO_FACES)
            self.publish(Outcome.FAILED)
            await self.assert_silent(alice)

    async def test_outcomes_all_sends_every_outcome_of_submissions(self) -> None:
        async with self.serving() as address, listening(address, "?outcomes=all") as alice:
            self.publish(Outcome.OPERATION)
            sent = [self.publish(outcome) for outcome in Outcome if outcome in OF_SUBMISSIONS]
            self.assertEqual(await received_ids(alice, 3), sent)

    async def test_outcomes_operation_sends_operations_only(self) -> None:
        async with self.serving() as address, listening(address, "?outcomes=operation") as alice:
            self.publish(Outcome.FACES)
            sent = [self.publish(Outcome.OPERATION), self.publish(Outcome.OPERATION)]
            self.assertEqual(await received_ids(alice, 2), sent)

    async def test_outcomes_sends_the_listed_outcomes_only(self) -> None:
        async with (
            self.serving() as address,
            listening(address, "?outcomes=failed,no_faces") as alice,
        ):
            self.publish(Outcome.FACES)
            wanted = [self.publish(Outcome.NO_FACES), self.publish(Outcome.FAILED)]
            self.assertEqual(await received_ids(alice, 2), wanted)

    async def test_events_from_before_the_start_of_the_server_are_not_sent(self) -> None:
        self.publish()
        async with self.serving() as address, listening(address) as alice:
            await self.assert_silent(alice)

    async def test_an_invalid_stream_entry_is_skipped(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            self.redis.xadd(STREAM, {"nonsense": b"\xff\xfe"})
            self.redis.xadd(STREAM, {"submission_id": "x", "outcome": "faces", "event": "[]"})
            await self.assert_silent(alice)

    async def test_an_event_that_is_appended_twice_is_sent_once(self) -> None:
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

    async def test_a_burst_reaches_every_client_in_order(self) -> None:
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
