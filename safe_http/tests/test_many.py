"""Many downloads together: in order, side by side, bounded, given up."""

import socket
import threading
import unittest

from safe_http import Download, FetchError, GivenUp, Hold
from safe_http.tests.web import JPEG, Server, allowing, answer, endless, raw


class ManyTests(unittest.TestCase):
    def setUp(self) -> None:
        self.server = self.enterContext(Server())
        self.client = allowing("127.0.0.1")

    def test_many_come_in_the_order_given_and_none_spoils_another(self) -> None:
        self.server.replies |= {
            "/good": answer(JPEG),
            "/slow": endless(b"", b"", self.server.ended, 0.05),
            "/broken": raw(b"nonsense"),
        }
        paths = ["/good", "/slow", "/broken", "/missing", "/good"]
        urls = [
            *map(self.server.url, paths),
            "http://10.0.0.1/",
            "nonsense",
            self.server.url("/good"),
        ]
        outcomes = allowing("127.0.0.1", timeout_s=3).fetch_many(urls)
        good = [index for index, o in enumerate(outcomes) if isinstance(o, Download)]
        self.assertEqual(good, [0, 4, 7])
        for outcome in outcomes:
            if isinstance(outcome, Download):
                with outcome:
                    self.assertEqual(outcome.file.read(), JPEG)
            else:
                self.assertIsInstance(outcome, FetchError)

    def test_many_are_fetched_at_the_same_time_and_not_too_many(self) -> None:
        at_once, most, lock = 0, 0, threading.Lock()

        def reply(connection: socket.socket) -> None:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            self.server.ended.wait(0.05)
            with lock:
                at_once -= 1
            answer(JPEG)(connection)

        self.server.replies["/x"] = reply
        client = allowing("127.0.0.1", parallel=3)
        for outcome in client.fetch_many([self.server.url("/x")] * 12):
            assert isinstance(outcome, Download)
            outcome.close()
        self.assertEqual(most, 3)

    def test_none_is_none(self) -> None:
        self.assertEqual(self.client.fetch_many([]), [])

    def test_silent_servers_hold_many_downloads_no_longer_than_all_may_take(self) -> None:
        self.server.replies["/x"] = endless(b"", b"", self.server.ended, 0.05)
        client = allowing("127.0.0.1", parallel=2)
        outcomes = client.fetch_many([self.server.url("/x")] * 6, in_all_s=0.3)
        self.assertEqual([type(each) for each in outcomes], [FetchError] * 6)
        self.assertEqual(self.server.connections, 2)
        self.assertIn("not begun", str(outcomes[-1]))

    def test_downloads_that_may_not_go_on_end_and_the_good_ones_are_kept(self) -> None:
        begun, closed = threading.Event(), threading.Event()

        def silent(connection: socket.socket) -> None:
            begun.set()
            connection.recv(1)  # the end of the connection
            closed.set()

        self.server.replies |= {"/good": answer(JPEG), "/silent": silent}
        urls = [self.server.url(path) for path in ("/good", "/silent", "/good")]
        outcomes = allowing("127.0.0.1", parallel=1).fetch_many(
            urls, hold=lambda: Hold.NONE if begun.is_set() else Hold.ALL
        )
        self.assertEqual([type(each) for each in outcomes], [Download, GivenUp, GivenUp])
        assert isinstance(outcomes[0], Download)
        outcomes[0].close()
        self.assertTrue(closed.wait(60))

    def test_downloads_that_have_begun_end_and_no_more_begin(self) -> None:
        begun, go_on = threading.Semaphore(0), threading.Event()

        def slow(connection: socket.socket) -> None:
            begun.release()
            go_on.wait(60)
            answer(JPEG)(connection)

        def hold() -> Hold:
            for _ in range(0 if go_on.is_set() else 2):
                begun.acquire()
            go_on.set()
            return Hold.BEGUN

        self.server.replies["/x"] = slow
        client = allowing("127.0.0.1", parallel=2)
        outcomes = client.fetch_many([self.server.url("/x")] * 6, hold=hold)
        kinds = [type(each) for each in outcomes]
        self.assertEqual(kinds[:2], [Download, Download])
        # Another may have begun just before the look.
        self.assertEqual(self.server.connections, kinds.count(Download))
        for outcome in outcomes:
            if isinstance(outcome, Download):
                outcome.close()
