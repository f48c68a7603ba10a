"""Tests shared by several processes: each runs once, and no process's failure is lost."""

import sys
import tempfile
import unittest
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

from tests.support import parallel_runner

_ran: Counter[str] = Counter()
_set_up: Counter[type] = Counter()
_torn_down: Counter[type] = Counter()


class _Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        _set_up[cls] += 1

    @classmethod
    def tearDownClass(cls) -> None:
        _torn_down[cls] += 1

    def test_one(self) -> None:
        _ran[self.id()] += 1

    def test_two(self) -> None:
        _ran[self.id()] += 1


class _Another(_Example):
    pass


class _OneService(_Example):
    shares = "a service"


class _SameService(_OneService):
    pass


_NAME = f"{__name__}._Another"


def load_tests(
    loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None
) -> unittest.TestSuite:
    """The examples are run by the tests alone."""
    return loader.loadTestsFromTestCase(SharingTests)


class SharingTests(unittest.TestCase):
    def test_each_test_is_run_by_one_of_those_that_share_it(self) -> None:
        _ran.clear()
        _set_up.clear()
        _torn_down.clear()
        load = unittest.defaultTestLoader.loadTestsFromTestCase
        tests = list(parallel_runner.flat([load(_Example), load(_Another)]))
        with tempfile.TemporaryDirectory() as folder:
            suites = [parallel_runner.SharedSuite(tests, Path(folder, "taken")) for _ in range(2)]
            results = [suite.run(unittest.TestResult()) for suite in suites]
        self.assertEqual(sum(result.testsRun for result in results), 4)
        self.assertEqual(set(_ran.values()), {1})
        self.assertEqual(len(_ran), 4)
        self.assertEqual(_set_up, {_Example: 1, _Another: 1})
        self.assertEqual(_torn_down, _set_up)

    def test_classes_that_share_a_service_stay_together_and_their_cost_is_printed(self) -> None:
        load = unittest.defaultTestLoader.loadTestsFromTestCase
        kinds = (_OneService, _SameService, _Another)
        tests = list(parallel_runner.flat(load(kind) for kind in kinds))
        suite = parallel_runner.ClassSuite(tests)
        self.assertEqual(suite.run(unittest.TestResult()).testsRun, 6)
        self.assertEqual([cost.name for cost in suite.costs], ["all of a service", _NAME])
        with redirect_stdout(StringIO()) as printed:
            parallel_runner.print_costs([parallel_runner.Cost(1, 2, "a"), *suite.costs], 1)
        self.assertEqual(
            printed.getvalue().split(), ["1.0", "s", "2.0", "s", "of", "processor", "a"]
        )

    def test_a_process_that_dies_makes_the_run_fail(self) -> None:
        argv = mock.patch.object(sys, "argv", ["-c", "raise SystemExit(3)"])
        with argv, redirect_stdout(StringIO()) as told:
            self.assertEqual(parallel_runner.run(2), 2)
        self.assertIn("0 passed, 0 failed", told.getvalue())
