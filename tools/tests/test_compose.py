"""What docker-compose.yml promises beside default.env, and what no image may hold."""

import re
import unittest

from tools.commands import ROOT
from wire import environment

COMPOSE = (ROOT / "docker-compose.yml").read_text()


class ComposeTests(unittest.TestCase):
    def test_every_setting_goes_into_the_containers(self) -> None:
        listed = re.findall(r"^    - ([A-Z_0-9]+)(?:=.*)?$", COMPOSE, re.MULTILINE)
        self.assertEqual(listed, list(environment.defaults()), "in the order of default.env")

    def test_every_service_comes_back_and_is_asked_how_it_is(self) -> None:
        services = COMPOSE.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
        parts = re.split(r"^  (\w+):$", services, flags=re.MULTILINE)[1:]
        found = dict(zip(parts[::2], parts[1::2], strict=True))
        self.assertEqual(set(found), {"nginx", "backend", "worker", "wsserver", "redis"})
        for name, text in found.items():
            with self.subTest(name):
                self.assertIn("healthcheck:", text)
                self.assertRegex(text, r"restart: unless-stopped|<<: \*faces")

    def test_secrets_and_state_stay_out_of_the_images(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        for path in (".env", ".git", "db.sqlite3*", "media", "redis-data", "run"):
            self.assertIn(path, ignored)
