"""Programs and packages that some tests need and an image may lack.

The image names them in TESTS_WITHOUT, as in "browser docs", and their tests are skipped. Where it
is unset all of them are required, so that no test is skipped unnoticed.
"""

import os
import unittest
from typing import Final, NoReturn

NAMES: Final = ("browser", "compiler", "docs", "lint", "postgresql")


def require(name: str) -> None:
    """Skip the test, the class or the module that calls this, where the image lacks `name`."""
    if name not in NAMES:
        raise ValueError(f"no such prerequisite: {name!r}; there are {', '.join(NAMES)}")
    if name in os.environ.get("TESTS_WITHOUT", "").split():
        raise unittest.SkipTest(f"{name} is not in this image: see TESTS_WITHOUT in the Dockerfile")


def missing(reason: str) -> NoReturn:
    """Skip what calls this; the run's closing lines name the reason. In CI it fails instead."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        raise AssertionError(f"in CI nothing is skipped for this: {reason}")
    raise unittest.SkipTest(reason)
