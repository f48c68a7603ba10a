"""The base of tests that run on a whole service: one for all tests of a class."""

import sys
import unittest
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, TypeVar

import requests

from tests.support import samples
from tests.support.listener import Listener
from tests.support.stack import ENDED, Stack, local_session, wait_until

_PASSWORD: Final = "correct horse battery"  # noqa: S105
_MAKE_ZOE: Final = (
    "from django.contrib.auth.models import User;"
    f"User.objects.create_superuser('zoe', password='{_PASSWORD}')"
)

_T = TypeVar("_T")
_shared: Final[dict[str, Any]] = {}


class StackCase(unittest.TestCase):
    """Starts `Stack(**options)` for the class; a failing test shows what its processes printed.

    Classes of one module that give the same name as `shares` have one service for all of them.
    """

    options: ClassVar[dict[str, Any]] = {}
    shares: ClassVar[str] = ""
    stack: ClassVar[Stack]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.stack = cls.shared("stack", lambda: Stack(**cls.options))

    @classmethod
    def shared(cls, name: str, make: Callable[[], AbstractContextManager[_T]]) -> _T:
        """What `make` makes, entered: for the class, or once for all that share its service."""
        if not cls.shares:
            return cls.enterClassContext(make())
        key = f"{cls.shares}: {name}"
        if key not in _shared:
            _shared[key] = unittest.enterModuleContext(make())
            unittest.addModuleCleanup(_shared.pop, key)
        made: _T = _shared[key]
        return made

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        before = _broken(result)
        result = super().run(result)
        if _broken(result) > before:
            print(f"\n=== {self.id()}\n{self.stack.log_tails()}", file=sys.stderr)
        return result

    def listen(self, query: str = "outcomes=all", *, instance: int = 0) -> Listener:
        """A listener until the test ends."""
        return self.enterContext(self.stack.listen(query, instance=instance))

    def staff_session(self) -> requests.Session:
        """A session of a new superuser, logged in as a browser logs in."""
        made = self.stack.manage("shell", "-c", _MAKE_ZOE)
        self.assertEqual(made.returncode, 0, made.stderr)
        session, login = local_session(), f"{self.stack.url}/admin/login/"
        session.get(login, timeout=60)
        form = {"username": "zoe", "password": _PASSWORD, "next": "/admin/"}
        form["csrfmiddlewaretoken"] = session.cookies["faces_csrf"]
        session.post(login, form, headers={"Referer": login}, timeout=60)
        return session

    def assert_each_ended_once(
        self, ids: Iterable[str], *listeners: Listener, timeout_s: float = 180
    ) -> dict[str, dict[str, Any]]:
        """Each of `ids` is done or failed, its event once in the stream, once at each listener.

        Returns the status resources. An event that would come twice is given the time to come.
        """
        wanted = list(ids)
        resources = self.stack.wait_ended(wanted, timeout_s)
        self._wait_until_told(wanted)
        self._let_the_sweep_pass(*listeners)
        for id in wanted:
            self.assertIn(resources[id]["status"], ENDED)
        told = Counter(entry["submission_id"] for entry in self.stack.events())
        self.assertEqual({id: told[id] for id in wanted}, dict.fromkeys(wanted, 1))
        for listener in listeners:
            self.assertTrue(listener.is_connected, listener.closed_by_server)
            heard = Counter(listener.ids())
            self.assertEqual({id: heard[id] for id in wanted}, dict.fromkeys(wanted, 1))
        return resources

    def _wait_until_told(self, ids: list[str]) -> None:
        def told() -> bool:
            there = {entry["submission_id"] for entry in self.stack.events()}
            return there.issuperset(ids)

        wait_until(told, "every outcome is in the stream")

    def _let_the_sweep_pass(self, *listeners: Listener) -> None:
        """Upload an image and wait for its event: all events due before have been sent then."""
        marker = self.stack.upload(samples.no_face())
        self.stack.wait_ended([marker])
        self._wait_until_told([marker])
        for listener in listeners:
            listener.wait_for([marker])


def _broken(result: unittest.TestResult | None) -> int:
    return 0 if result is None else len(result.failures) + len(result.errors)
