"""A client may ask for the event of one submission."""

from uuid import uuid4

from wire.events import EVENT_OF_SUBMISSION, STREAM, Outcome
from wire.feeds import ANONYMOUS_OWNER
from wsserver.delivery.replay import GAP_MESSAGE
from wsserver.tests.support import ServerTestCase, eventually, listening, received

FINISHED = (1000, "submission finished")


class OneSubmission(ServerTestCase):
    async def test_it_gets_that_event_alone_and_is_closed(self) -> None:
        mine = str(uuid4())
        async with self.serving() as address, listening(address, f"?submission={mine}") as alice:
            self.publish()
            self.publish(submission_id=mine)
            self.assertEqual((await received(alice))["submission_id"], mine)
            await self.assert_closed(alice, *FINISHED)

    async def test_it_gets_whatever_the_outcome_is(self) -> None:
        async with self.serving() as address:
            for outcome in Outcome:
                mine = str(uuid4())
                async with listening(address, f"?submission={mine}") as alice:
                    self.publish(outcome, submission_id=mine)
                    self.assertEqual((await received(alice))["outcome"], outcome)
                    await self.assert_closed(alice, *FINISHED)

    async def test_one_that_has_ended_is_told_at_once(self) -> None:
        mine = self.publish(Outcome.FAILED)
        async with (
            self.serving() as address,
            listening(address, f"?submission={mine.upper()}") as alice,
        ):
            self.assertEqual((await received(alice))["submission_id"], mine)
            await self.assert_closed(alice, *FINISHED)

    async def test_it_is_told_when_the_event_has_been_trimmed(self) -> None:
        mine, _kept = self.publish(), self.publish()
        self.redis.xtrim(STREAM, maxlen=1, approximate=False)
        async with self.serving() as address, listening(address, f"?submission={mine}") as alice:
            notice = {"message": GAP_MESSAGE, "oldest_event_id": self.newest_id()}
            self.assertEqual(await received(alice), notice)
            await self.assert_closed(alice, *FINISHED)

    async def test_with_since_it_does_not_get_what_it_has(self) -> None:
        mine = self.publish()
        query = f"?submission={mine}&since={self.newest_id()}"
        async with self.serving() as address, listening(address, query) as alice:
            self.assertEqual(await self.assert_closed(alice, *FINISHED), [])

    async def test_with_outcomes_it_is_closed_without_one_it_does_not_want(self) -> None:
        mine = str(uuid4())
        query = f"?submission={mine}&outcomes=faces"
        async with self.serving() as address, listening(address, query) as alice:
            self.publish(Outcome.NO_FACES, submission_id=mine)
            self.assertEqual(await self.assert_closed(alice, *FINISHED), [])

    async def test_it_gets_an_event_that_was_sent_then_lost_and_is_added_again(self) -> None:
        async with self.serving() as address, listening(address) as other:
            mine = self.publish()
            await received(other)
            self.redis_server.flush()
            async with listening(address, f"?submission={mine}") as alice:
                self.publish(submission_id=mine)
                self.assertEqual((await received(alice))["submission_id"], mine)
            await self.assert_silent(other)

    async def test_an_unreadable_pointer_to_its_event_leaves_it_waiting(self) -> None:
        mine = str(uuid4())
        key = EVENT_OF_SUBMISSION.format(owner=ANONYMOUS_OWNER, submission_id=mine)
        self.redis.set(key, "nonsense")
        async with self.serving() as address, listening(address, f"?submission={mine}") as alice:
            self.publish(submission_id=mine)
            self.assertEqual((await received(alice))["submission_id"], mine)

    async def test_it_waits_while_redis_is_away(self) -> None:
        mine = self.publish()
        self.redis_server.stop()
        async with self.serving() as address, listening(address, f"?submission={mine}") as alice:
            self.redis_server.start()
            self.assertEqual((await received(alice))["submission_id"], mine)
            await eventually(lambda: alice.close_code == 1000)
