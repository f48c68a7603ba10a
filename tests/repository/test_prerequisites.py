"""What a machine lacks is skipped by name there, and fails in CI."""

import os
import unittest
from unittest import mock

from tests.support import prerequisites


class MissingTests(unittest.TestCase):
    def test_a_skip_has_its_reason(self) -> None:
        with mock.patch.dict(os.environ, CI=""), self.assertRaises(unittest.SkipTest) as caught:
            prerequisites.missing("no weights")
        self.assertEqual(str(caught.exception), "no weights")

    def test_in_ci_it_is_a_failure(self) -> None:
        with mock.patch.dict(os.environ, CI="true"), self.assertRaises(AssertionError) as caught:
            prerequisites.missing("no weights")
        self.assertIn("no weights", str(caught.exception))
