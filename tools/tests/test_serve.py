"""The parent of gunicorn: it holds the socket, and what it forks takes over at once."""

import os
import signal

from tests.support.service_process import is_alive
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase


class ServeTests(StackCase):
    def gunicorn(self) -> list[int]:
        """All web processes but their parent."""
        return [pid for pid in self.stack.web.members() if pid != self.stack.web.pid]

    def test_a_request_after_all_of_gunicorn_is_killed_is_answered(self) -> None:
        before = self.stack.web.pid
        for _ in range(2):
            killed = self.gunicorn()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(self.stack.get("/healthcheck").status_code, 200)
            self.assertTrue(set(self.gunicorn()) - set(killed))
        self.assertEqual(self.stack.web.pid, before)

    def test_gunicorn_ends_with_its_parent(self) -> None:
        left = self.gunicorn()
        self.stack.web.kill_alone()
        wait_until(lambda: not any(map(is_alive, left)), "gunicorn has ended")
        self.stack.web.start()
        self.stack.wait_ready()

    def test_it_ends_in_order(self) -> None:
        self.assertEqual(self.stack.web.stop(), 0)
        self.stack.web.start()
        self.stack.wait_ready()
