"""What the compose files promise beside default.env, and what no image may hold."""

import re
import unittest

from tools.shell import ROOT
from wire import environment

COMPOSE = (ROOT / "docker-compose.yml").read_text()
SCALE = (ROOT / "docker-compose.scale.yml").read_text()

# Of these each file has values of its own.
ELSEWHERE = {"DATABASE_URL", "FACES_CACHE_URL", "FACES_WORKERS"}


def services(compose: str) -> dict[str, str]:
    text = compose.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    parts = re.split(r"^  ([\w-]+):", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def settings(compose: str) -> list[str]:
    """The lines that pass settings on."""
    return re.findall(r"^    - ([A-Z_0-9]+(?:=.*)?)$", compose, re.MULTILINE)


class ComposeTests(unittest.TestCase):
    def test_every_setting_goes_into_the_containers(self) -> None:
        for compose in (COMPOSE, SCALE):
            listed = [line.partition("=")[0] for line in settings(compose)]
            self.assertEqual(listed, list(environment.defaults()), "in the order of default.env")

    def test_both_files_say_the_same_but_for_where_things_are_kept(self) -> None:
        def shared(compose: str) -> list[str]:
            return [line for line in settings(compose) if line.split("=")[0] not in ELSEWHERE]

        self.assertEqual(shared(COMPOSE), shared(SCALE))
        for service in ("worker", "wsserver", "redis"):
            for line in services(COMPOSE)[service].splitlines():
                if not line.lstrip().startswith(("#", "depends_on", "redis: {")):
                    self.assertIn(line, services(SCALE)[service].splitlines(), service)

    def test_every_service_comes_back_and_is_asked_how_it_is(self) -> None:
        once = {"nginx", "backend", "worker", "wsserver", "redis"}
        many = {"backend-1", "backend-2", "backend-3", "postgresql", "redis-cache"}
        self.assertEqual(set(services(COMPOSE)), once | {"lambda"})
        self.assertEqual(set(services(SCALE)), once - {"backend"} | many)
        for compose in (COMPOSE, SCALE):
            for name, text in services(compose).items():
                if "*backend" not in text:
                    with self.subTest(name):
                        self.assertIn("healthcheck:", text)
                        self.assertRegex(text, r"restart: unless-stopped|<<: \*faces")

    def test_secrets_and_state_stay_out_of_the_images(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        for path in (".env", ".git", "db.sqlite3*", "media", "redis-data", "run"):
            self.assertIn(path, ignored)
