"""What the compose files promise beside default.env, and what no image may hold."""

import re
import tomllib
import unittest
from typing import Any, Final

import yaml

from tools import setup
from tools.config import NGINX_SETTINGS
from tools.shell import ROOT
from wire import environment, obsolete_settings

COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SCALE: Final = yaml.safe_load((ROOT / "docker-compose.scale.yml").read_text())
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()

ONE_OF_EACH: Final = {"nginx", "backend", "worker", "wsserver", "redis"}
ON_DEMAND: Final = {"lambda", "tests"}
SCALED: Final = {"backend", "backend-2", "backend-3", "worker", "wsserver"}


def names(service: dict[str, Any]) -> list[str]:
    """The settings that a service is given, in the order of the file."""
    return [each.partition("=")[0] for each in service["environment"]]


class ComposeTests(unittest.TestCase):
    def test_every_setting_goes_into_the_containers(self) -> None:
        for name in ("backend", "worker", "wsserver"):
            given = names(COMPOSE["services"][name])
            current = list(environment.defaults())
            self.assertEqual(given[: len(current)], current, "in the order of default.env")
            # Refused by the processes, which do not see .env in containers.
            obsolete = sorted({*obsolete_settings.RENAMED, *obsolete_settings.REMOVED})
            self.assertEqual(given[len(current) :], obsolete)

    def test_several_of_each_differ_only_in_where_rows_and_counters_are(
        self,
    ) -> None:
        services = SCALE["services"]
        self.assertEqual(set(services), SCALED | {"postgresql", "redis-cache"})
        for name in SCALED:
            with self.subTest(name):
                differ = {"DATABASE_URL", "FACES_CACHE_URL"}
                differ |= {"FACES_WORKERS"} if name == "worker" else set()
                self.assertEqual(set(services[name]["environment"]), differ)
                keys = set(services[name]) - {"extends", "networks"}
                self.assertEqual(keys, {"depends_on", "environment"})

    def test_each_further_backend_is_one_more_under_the_same_name(self) -> None:
        for name in ("backend-2", "backend-3"):
            service = SCALE["services"][name]
            self.assertEqual(
                service["extends"], {"file": "docker-compose.yml", "service": "backend"}
            )
            self.assertEqual(
                service["networks"], {"default": {"aliases": ["backend"]}, "store": {}}
            )
        # Of a service that depends on others docker-compose 1.29 makes no further one.
        self.assertNotIn("depends_on", COMPOSE["services"]["backend"])

    def test_every_service_comes_back_and_is_asked_how_it_is(self) -> None:
        self.assertEqual(set(COMPOSE["services"]), ONE_OF_EACH | ON_DEMAND)
        new = {name: SCALE["services"][name] for name in ("postgresql", "redis-cache")}
        for name, service in {**COMPOSE["services"], **new}.items():
            if name != "tests":
                with self.subTest(name):
                    self.assertIn("healthcheck", service)
                    self.assertEqual(service["restart"], "unless-stopped")

    def test_up_starts_one_of_each(self) -> None:
        on_demand = {
            name for name, service in COMPOSE["services"].items() if service.get("profiles")
        }
        self.assertEqual(on_demand, ON_DEMAND)

    def test_all_that_use_the_images_are_one_user(self) -> None:
        users = {
            COMPOSE["services"][name]["user"] for name in ("nginx", "backend", "worker", "wsserver")
        }
        self.assertEqual(users, {"${PUID:-10001}:${PGID:-10001}"})
        self.assertIn("USER 10001:10001", DOCKERFILE)

    def test_nginx_is_given_the_settings_that_it_reads(self) -> None:
        given = dict(
            each.partition("=")[::2] for each in COMPOSE["services"]["nginx"]["environment"]
        )
        read = set(re.findall(r"\$\{(\w+_\w+):-", (ROOT / "nginx" / "settings.sh").read_text()))
        self.assertEqual(read, set(NGINX_SETTINGS))
        self.assertLessEqual(read, set(given))
        # nginx does not see default.env.
        defaults = environment.defaults()
        for name, value in given.items():
            self.assertEqual(value, f"${{{name}:-{defaults[name]}}}" if value else "", name)


class YunetTests(unittest.TestCase):
    """A file of one's own is converted where onnx is, at the build: what runs has no onnx."""

    def test_both_images_take_a_file_beside_the_dockerfile(self) -> None:
        stages = [each for each in DOCKERFILE.split("\nFROM ") if "--yunet-model" in each]
        self.assertEqual([each.split()[2] for each in stages], ["build", "lambda-build"])
        for stage in stages:
            # With a file that is there: COPY fails where no source is.
            self.assertRegex(stage, r"COPY \S+ yunet\*\.onnx \./")
        for name in ("backend", "worker", "lambda"):
            self.assertIn("FACES_YUNET_MODEL", names(COMPOSE["services"][name]))


class ClosedTests(unittest.TestCase):
    """What a container that was broken into could reach and change."""

    def services(self) -> dict[str, Any]:
        stores = {name: SCALE["services"][name] for name in ("postgresql", "redis-cache")}
        return {**COMPOSE["services"], **stores}

    def test_redis_and_postgresql_are_reached_by_those_who_need_them_alone(self) -> None:
        self.assertTrue(COMPOSE["networks"]["store"]["internal"])
        on_store = {
            name for name, each in self.services().items() if "store" in each.get("networks", ())
        }
        stores = {"redis", "redis-cache", "postgresql"}
        self.assertEqual(on_store, stores | {"backend", "worker", "wsserver"})
        for name in stores:
            self.assertEqual(self.services()[name]["networks"], ["store"])
            self.assertNotIn("ports", self.services()[name])

    def test_each_redis_asks_for_the_password_that_the_services_have(self) -> None:
        for name in ("redis", "redis-cache"):
            self.assertIn("sh /etc/faces/docker.sh", self.services()[name]["command"])
        for service, name in ((COMPOSE, "CACHE_BACKEND_URL"), (SCALE, "FACES_CACHE_URL")):
            given = str(service["services"]["backend"]["environment"])
            self.assertRegex(given, rf"{name}.*\?password_file=/redis/password")

    def test_no_container_gains_rights_and_those_of_ours_write_to_volumes_alone(self) -> None:
        for name, service in self.services().items():
            with self.subTest(name):
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
                if name not in ("nginx", "postgresql", "tests"):
                    self.assertIs(service["read_only"], True)
                    self.assertTrue(service["tmpfs"][0].startswith("/tmp"))

    def test_every_foreign_image_has_a_version_and_can_be_pinned_by_its_digest(self) -> None:
        for name in ("nginx", "redis", "redis-cache", "postgresql"):
            self.assertRegex(
                self.services()[name]["image"], r"^\$\{FACES_\w+_IMAGE:-[\w/]+:\d+[\w.-]*\}$"
            )
        bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
        ours = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
        self.assertEqual(bases - ours, {"${FACES_PYTHON_IMAGE}"})
        self.assertRegex(DOCKERFILE, r"ARG FACES_PYTHON_IMAGE=python:\d+\.\d+-")


class ImageTests(unittest.TestCase):
    def test_secrets_and_state_stay_out_of_the_images(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        for path in (".env", ".git", "db.sqlite3*", "media/*", "redis-data", "run"):
            self.assertIn(path, ignored)

    def test_the_app_has_each_package_of_the_product(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        ours = set(project["tool"]["ruff"]["lint"]["isort"]["known-first-party"])
        copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
        self.assertEqual((ours | {"static"}) - copied, {"tests"})

    def test_each_lock_is_installed_by_the_set_up_and_in_an_image(self) -> None:
        locks = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
        self.assertEqual(locks, {*setup.RUN, *setup.TEST, "oracle", "lambda"})
        loop = re.search(r"for name in ([\w ]+);", DOCKERFILE)
        assert loop is not None
        installed = {*re.findall(r"-r /?requirements/(\w+)\.txt", DOCKERFILE), *loop[1].split()}
        self.assertEqual(installed, locks)

    def test_the_tests_that_need_a_browser_are_where_an_image_without_one_skips_them(self) -> None:
        needs = re.compile(
            r"^from (?:playwright|tests\.support\.(?:browser|page_\w+))\b", re.MULTILINE
        )
        files = [path for path in ROOT.glob("*/**/test_*.py") if needs.search(path.read_text())]
        self.assertEqual({path.parent for path in files}, {ROOT / "tests" / "e2e" / "pages"})
