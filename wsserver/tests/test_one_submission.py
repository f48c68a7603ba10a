"""`submission=`: the event of one submission."""

from uuid import uuid4

from wire.events import EVENT_OF_SUBMISSION, STREAM, Outcome
from wire.feeds import ANONYMOUS_OWNER
from wsserver.delivery.replay import GAP_MESSAGE
from wsserver.tests.base import ServerTestCase, eventually, listening, received

FINISHED = (1000, "submission finished")


class OneSubmission(ServerTestCase):
    async def test_only_that_event_is_sent_and_the_connection_is_closed(self) -> None:
        mine = str(uuid4())
        async with self.serving() as address, listening(address, f"?submission={mine}") as alice:
            self.publish()
            self.publish(submission_id=mine)
            self.assertEqual((await received(alice))["submission_id"], mine)
            await self.assert_closed(alice, *FINISHED)

    async def test_the_event_is_sent_whatever_its_outcome(self) -> None:
        async with self.serving() as address:
            for outcome in Outcome:
                mine = str(uuid4())
                async with listening(address, f"?submission={mine}") as alice:
                    self.publish(outcome, submission_id=mine)
                    self.assertEqual((await received(alice))["outcome"], outcome)
                    await self.assert_closed(alice, *FINISHED)

    async def test_the_event_of_an_ended_submission_is_sent_at_once(self) -> None:
        mine = self.publish(Outcome.FAILED)
        async with (
            self.serving() as address,
            listening(address, f"?submission={mine.upper()}") as alice,
        ):
            self.assertEqual((await received(alice))["submission_id"], mine)
            await self.assert_closed(alice, *FINISHED)

    async def test_a_trimmed_event_gives_a_notice(self) -> None:
        mine, _kept = self.publish(), self.publish()
        self.redis.xtrim(STREAM, maxlen=1, approximate=False)
        async with self.serving() as address, listening(address, f"?submission={mine}") as alice:
            notice = {"message": GAP_MESSAGE, "oldest_event_id": self.newest_id()}
            self.assertEqual(await received(alice), notice)
            await self.assert_closed(alice, *FINISHED)

    async def test_an_event_up_to_since_is_not_sent(self) -> None:
        mine = self.publish()
        query = f"?submission={mine}&since={self.newest_id()}"
        async with self.serving() as address, listening(address, query) as alice:
            self.assertEqual(await self.assert_closed(alice, *FINISHED), [])

    async def test_an_event_that_outcomes_excludes_is_not_sent(self) -> None:
        mine = str(uuid4())
        query = f"?submission={mine}&outcomes=faces"
        async with self.serving() as address, listening(address, query) as alice:
            self.publish(Outcome.NO_FACES, submission_id=mine)
            self.assertEqual(await self.assert_closed(alice, *FINISHED), [])

    async def test_an_event_that_redis_lost_is_sent_when_it_is_appended_again(self) -> None:
        async with self.serving() as address, listening(address) as other:
            mine = self.publish()
            await received(other)
            self.redis_server.flush()
            async with listening(address, f"?submission={mine}") as alice:
                self.publish(submission_id=mine)
                self.assertEqual((await received(alice))["submission_id"], mine)
            await self.assert_silent(other)

    async def test_with_an_invalid_id_of_its_event_the_live_event_is_sent(self) -> None:
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
