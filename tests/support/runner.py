"""The suite's runner: `manage.py test` finds the tests of every folder and touches no real data.

One real Redis serves all tests of the Django project, and everything that is stored goes to a
folder that ends with the run. Tests across processes start a `tests.support.stack.Stack` of their
own.
The database is SQLite; with `--database postgresql` it is a real PostgreSQL that ends with the run.
"""

import gc
import logging
import os
import signal
import tempfile
import unittest
from argparse import SUPPRESS, ArgumentParser
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import hypothesis
from django.conf import settings
from django.db import connections
from django.test import override_settings
from django.test.runner import DiscoverRunner

from backend import databases
from tests.support import parallel_runner, photographs
from tests.support.postgres_server import PostgresServer
from tests.support.prepared import Prepared
from tests.support.redis_server import RedisServer
from tests.support.samples import DETECTOR
from wire import environment


class Result(unittest.TextTestResult):
    """Counts tests: one with several failing parts (subTest) is one failed test."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.passed = 0

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.passed += 1

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self.passed += 1

    def counts(self) -> dict[str, int]:
        """Passed, failed, skipped: an error is a failure, also one outside of any test."""
        broken = [test for test, _ in (*self.failures, *self.errors)]
        failed = {getattr(test, "test_case", test).id() for test in broken}
        failed |= {test.id() for test in self.unexpectedSuccesses}
        return {"passed": self.passed, "failed": len(failed), "skipped": len(self.skipped)}


class Runner(DiscoverRunner):
    """Django's runner, with a Redis and folders of its own, and a plain last line."""

    def __init__(
        self,
        *args: Any,
        database: str = "sqlite",
        jobs: int | None = None,
        share: Path | None = None,
        durations: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._jobs, self._share, self._durations = jobs, share, durations or 0
        self._suite: parallel_runner.ClassSuite | None = None
        self._rest = ExitStack()
        self._result: Result | None = None
        self._on_postgresql = database == "postgresql"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--database",
            choices=("sqlite", "postgresql"),
            default="sqlite",
            help="what the tests keep their rows in; a server of their own in either case",
        )
        parser.add_argument(
            "--jobs",
            type=int,
            help="how many processes share the tests; without, one more than there are cores",
        )
        if "--durations" not in parser._option_string_actions:  # Django's own, of Python 3.12
            parser.add_argument(
                "--durations", type=int, metavar="N", help="print the N classes that take longest"
            )
        parser.add_argument("--share", type=Path, help=SUPPRESS)

    def run_tests(self, test_labels: list[str], **kwargs: Any) -> int:
        signal.signal(signal.SIGTERM, _interrupt)
        # A few tests are done before a second process is ready for them.
        jobs = self._jobs or (1 if test_labels else parallel_runner.wanted())
        if jobs > 1 and not self.pdb:
            return parallel_runner.run(jobs, self._durations)
        with self._rest:
            failed: int = super().run_tests(test_labels, **kwargs)
        if self._result is not None:
            self._print_skipped(self._result.skipped)
            self._report(self._result.counts())
        return failed

    def build_suite(self, *args: Any, **kwargs: Any) -> unittest.TestSuite:
        # All tests are modules that stay: the collector need not look through them, now or later.
        gc.disable()
        suite = super().build_suite(*args, **kwargs)
        gc.freeze()
        gc.enable()
        tests = parallel_runner.flat(suite)
        if self._share is None:
            self._suite = parallel_runner.ClassSuite(tests)
        else:
            self._suite = parallel_runner.SharedSuite(tests, self._share / "taken")
        return self._suite

    def setup_test_environment(self, **kwargs: Any) -> None:
        super().setup_test_environment(**kwargs)
        _let_hypothesis_take_its_time()
        for name in photographs.NAMES:
            photographs.path(name)
        redis = self._rest.enter_context(RedisServer())
        storage = self._rest.enter_context(tempfile.TemporaryDirectory(prefix="faces-test-"))
        self._use(Path(storage), redis.url)
        self._use_database(Path(storage))
        # The log lines of the code under test; `assertLogs` sees them all the same.
        for handler in logging.getLogger().handlers:
            handler.setLevel(logging.CRITICAL)

    def get_resultclass(self) -> type[unittest.TextTestResult] | None:
        return super().get_resultclass() or Result

    def suite_result(self, suite: unittest.TestSuite, result: Any, **kwargs: Any) -> int:
        self._result = result if isinstance(result, Result) else None
        return super().suite_result(suite, result, **kwargs)

    def _print_skipped(self, skipped: list[tuple[unittest.TestCase, str]]) -> None:
        for reason, number in Counter(reason for _, reason in skipped).items():
            print(f"skipped {number}: {reason}", flush=True)

    def _report(self, counts: dict[str, int]) -> None:
        costs = self._suite.costs if self._suite else []
        if self._share is not None:
            parallel_runner.note(self._share, counts, costs)
        else:
            parallel_runner.print_costs(costs, self._durations)
            print(", ".join(f"{count} {name}" for name, count in counts.items()), flush=True)

    def _use(self, storage: Path, redis_url: str) -> None:
        """Point the settings, and processes that tests start, away from any real installation."""
        os.environ.update(STORAGE_DIR=str(storage), CACHE_BACKEND_URL=redis_url, FACES_CACHE_URL="")
        os.environ.update(FACES_DETECTOR=DETECTOR, FACES_YUNET_MODEL="")
        (storage / "staticfiles").mkdir()
        changed = {
            "STORAGE_DIR": storage,
            "FACES_DETECTOR": DETECTOR,
            "FACES_YUNET_MODEL": "",
            "MEDIA_ROOT": storage / "media",
            "STATIC_ROOT": storage / "staticfiles",
            "CACHE_BACKEND_URL": redis_url,
            "FACES_CACHE_URL": redis_url,
            "DATABASE_URL": "",
            # The real one takes a fifth of a second for each password; services use it.
            "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
            # Links of tests without a host of their own begin with SERVICE_URL.
            "LINKS_FOLLOW_REQUEST": False,
            "RQ_QUEUES": {
                name: {**queue, "URL": redis_url} for name, queue in settings.RQ_QUEUES.items()
            },
            "CACHES": {"default": {**settings.CACHES["default"], "LOCATION": redis_url}},
        }
        override = override_settings(**changed)
        override.enable()
        self._rest.callback(override.disable)

    def _use_database(self, storage: Path) -> None:
        """Also their own; DATABASE_URL of the environment is ignored."""
        url = ""
        if self._on_postgresql:
            PostgresServer.current = self._rest.enter_context(PostgresServer())
            url = PostgresServer.current.create_database()
        os.environ["DATABASE_URL"] = url
        database = databases.configuration(url, sqlite=storage / "db.sqlite3")
        if not url:
            database["TEST"] = {"NAME": str(storage / "test.sqlite3")}
            self._copy_database(storage / "test.sqlite3")
        settings.DATABASES = {"default": database}
        # Nothing is connected yet: the connection is made anew from this.
        connections.settings = connections.configure_settings(settings.DATABASES)
        connections["default"].close()
        del connections["default"]

    def _copy_database(self, path: Path) -> None:
        """Where several processes share the run, its first one migrates for all."""
        if self._share is None:
            return
        Prepared.shared = self._share
        own = {"CACHE_BACKEND_URL": os.environ["CACHE_BACKEND_URL"], "DATABASE_URL": ""}
        environ = {**os.environ, **environment.defaults(), **own}
        Prepared.once(environ).copy_sqlite(path)
        self.keepdb = True


def _let_hypothesis_take_its_time() -> None:
    # Its limits of time fail a test of correct code on a machine that is busy with other things.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("faces", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("faces")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # As Ctrl-C: what the tests started is ended on the way out.
    raise KeyboardInterrupt
