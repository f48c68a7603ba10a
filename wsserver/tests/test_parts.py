"""Units that need neither Redis nor a socket."""

import unittest
from ipaddress import ip_network
from uuid import UUID, uuid4

from websockets.datastructures import Headers

from wire.events import OF_SUBMISSIONS, Outcome
from wsserver.delivery.connection import MessageRateLimit
from wsserver.delivery.replay import reaches_back
from wsserver.handshake.connection_limits import ConnectionLimiter
from wsserver.request.query import OptionError, Options, Since, parse_options
from wsserver.stream.deduplication import DeduplicationWindow
from wsserver.stream.redis_stream import State


class ParseOptions(unittest.TestCase):
    def test_an_empty_query_gives_the_defaults(self) -> None:
        self.assertEqual(parse_options(""), Options())

    def test_outcomes_are_all_or_a_list(self) -> None:
        self.assertEqual(parse_options("outcomes=all").outcomes, OF_SUBMISSIONS)
        some = parse_options("outcomes=faces,%20failed").outcomes
        self.assertEqual(some, {Outcome.FACES, Outcome.FAILED})

    def test_operations_must_be_named(self) -> None:
        self.assertNotIn(Outcome.OPERATION, OF_SUBMISSIONS)
        both = parse_options("outcomes=operation,faces").outcomes
        self.assertEqual(both, {Outcome.OPERATION, Outcome.FACES})

    def test_a_submission_is_a_uuid_in_any_notation(self) -> None:
        mine = uuid4()
        for text in (str(mine), str(mine).upper(), mine.hex):
            self.assertEqual(parse_options(f"submission={text}").submission_id, str(mine))

    def test_since_is_an_event_or_a_moment(self) -> None:
        self.assertEqual(parse_options("since=12-3").since, Since((12, 3), is_moment=False))
        self.assertEqual(parse_options("since=12").since, Since((12, 0), is_moment=True))
        self.assertEqual(parse_options("since=0-0").since, Since((0, 0), is_moment=True))

    def test_options_combine(self) -> None:
        options = parse_options(f"since=1-0&outcomes=failed&submission={UUID(int=7)}")
        self.assertEqual(options.submission_id, str(UUID(int=7)))
        self.assertEqual(options.since, Since((1, 0), is_moment=False))

    def test_an_invalid_option_is_named(self) -> None:
        for query, option in {
            "outcomes=": "outcomes",
            "outcomes=faces,": "outcomes",
            "outcomes=all,faces": "outcomes",
            "submission=": "submission",
            "submission=x": "submission",
            "since=": "since",
            "since=-1": "since",
            "since=1-2-3": "since",
            "since=" + "9" * 30: "since",
            "since=1&since=2": "since",
            "tokens=x": "tokens",
            "&".join(f"a{n}=1" for n in range(50)): "query",
        }.items():
            with self.subTest(query), self.assertRaises(OptionError) as raised:
                parse_options(query)
            self.assertEqual(list(raised.exception.errors), [option])


class ConnectionLimiterTests(unittest.TestCase):
    def setUp(self) -> None:
        self.limiter = ConnectionLimiter(
            total=100, per_address=1, per_client=2, proxies=[ip_network("10.0.0.0/8")]
        )

    def refused(self, peer: str, **headers: str) -> bool:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.limiter.acquire(object(), peer, Headers(names)) is not None

    def test_the_nearest_untrusted_address_counts(self) -> None:
        self.assertFalse(self.refused("10.0.0.1", X_Forwarded_For="1.1.1.1, 192.0.2.1, 10.0.0.2"))
        self.assertTrue(self.refused("10.0.0.1", X_Forwarded_For="2.2.2.2, 192.0.2.1"))
        self.assertTrue(self.refused("192.0.2.1"))
        self.assertFalse(self.refused("10.0.0.1", X_Forwarded_For="1.1.1.1"))

    def test_x_real_ip_counts_without_x_forwarded_for(self) -> None:
        self.assertFalse(self.refused("10.0.0.1", X_Real_IP="192.0.2.1"))
        self.assertTrue(self.refused("10.0.0.1", X_Real_IP="192.0.2.1"))

    def test_addresses_of_one_ipv6_64_count_as_one(self) -> None:
        self.assertFalse(self.refused("2001:db8::1"))
        self.assertTrue(self.refused("2001:db8::2"))
        self.assertFalse(self.refused("2001:db8:0:1::1"))

    def test_an_ipv4_mapped_address_counts_as_ipv4(self) -> None:
        self.assertFalse(self.refused("::ffff:192.0.2.1"))
        self.assertTrue(self.refused("192.0.2.1"))
        self.assertFalse(self.refused("::ffff:10.0.0.1", X_Forwarded_For="192.0.2.9"))

    def test_an_invalid_header_counts_as_the_proxy(self) -> None:
        for _ in range(3):
            self.assertFalse(self.refused("10.0.0.1", X_Forwarded_For="unknown"))

    def test_a_client_is_counted_wherever_it_is_and_not_for_its_address(self) -> None:
        def refused(peer: str, client: str | None = None) -> bool:
            return self.limiter.acquire(object(), peer, Headers(), client=client) is not None

        # At a proxy that names no client too.
        taken = [refused(peer, "7") for peer in ("192.0.2.1", "10.0.0.1", "192.0.2.1", "10.0.0.2")]
        self.assertEqual(taken, [False, False, True, True])
        self.assertFalse(refused("192.0.2.1", "8"))
        self.assertEqual([refused("192.0.2.1"), refused("192.0.2.1")], [False, True])

    def test_a_released_connection_makes_room(self) -> None:
        connection = object()
        self.assertIsNone(self.limiter.acquire(connection, "192.0.2.1", Headers()))
        self.limiter.release(connection)
        self.limiter.release(connection)
        self.assertFalse(self.refused("192.0.2.1"))


class DeduplicationWindowTests(unittest.TestCase):
    def is_repeat(self, window: DeduplicationWindow, submission_id: str) -> bool:
        return window.is_repeat(submission_id, "2026-01-01T00:00:00+00:00")

    def test_a_submission_is_a_repeat_from_the_second_time_on(self) -> None:
        window = DeduplicationWindow(10)
        repeats = [self.is_repeat(window, name) for name in "abab"]
        self.assertEqual(repeats, [False, False, True, True])

    def test_a_submission_that_completed_at_another_time_is_no_repeat(self) -> None:
        window = DeduplicationWindow(10)
        self.assertFalse(self.is_repeat(window, "a"))
        self.assertFalse(window.is_repeat("a", "2026-01-01T00:00:01+00:00"))

    def test_the_least_recently_read_submission_is_evicted_first(self) -> None:
        window = DeduplicationWindow(2)
        for name in "abac":
            self.is_repeat(window, name)
        self.assertTrue(self.is_repeat(window, "a"))
        self.assertFalse(self.is_repeat(window, "b"))


class ReachesBackTests(unittest.TestCase):
    whole = State(oldest=(10, 0), newest=(30, 0))
    trimmed = State(oldest=(10, 0), newest=(30, 0), is_trimmed=True)

    def test_it_reaches_back_to_each_id_that_it_holds(self) -> None:
        for after in ((10, 0), (20, 0), (30, 0)):
            self.assertTrue(reaches_back(self.trimmed, Since(after, is_moment=False)))

    def test_it_does_not_reach_back_to_ids_outside_of_it(self) -> None:
        for after in ((9, 0), (31, 0)):
            self.assertFalse(reaches_back(self.whole, Since(after, is_moment=False)))

    def test_it_reaches_back_to_any_earlier_moment_if_nothing_was_trimmed(self) -> None:
        self.assertTrue(reaches_back(self.whole, Since((0, 0), is_moment=True)))
        self.assertFalse(reaches_back(self.trimmed, Since((0, 0), is_moment=True)))

    def test_an_empty_stream_reaches_back_to_its_end(self) -> None:
        self.assertTrue(reaches_back(State(), Since((0, 0), is_moment=True)))
        emptied = State(oldest=None, newest=(30, 0), is_trimmed=True)
        self.assertTrue(reaches_back(emptied, Since((30, 0), is_moment=False)))
        self.assertFalse(reaches_back(emptied, Since((20, 0), is_moment=False)))


class MessageRateLimitTests(unittest.TestCase):
    def test_one_minutes_messages_at_once_and_then_at_the_rate(self) -> None:
        now = 0.0
        limit = MessageRateLimit(60, clock=lambda: now)
        self.assertEqual([limit.hit() for _ in range(61)], [True] * 60 + [False])
        now = 2.5
        self.assertEqual([limit.hit() for _ in range(3)], [True, True, False])
        now = 1000.0
        self.assertEqual(sum(limit.hit() for _ in range(100)), 60)
