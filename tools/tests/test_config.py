"""What the launcher makes of the settings."""

import socket
import unittest
from pathlib import Path

from tools import config
from tools.config import Address, UnixSocket
from tools.console import UserError
from tools.shell import ROOT
from tools.tests.launched import free_port
from wire import environment


class StackTestCase(unittest.TestCase):
    def read(self, **settings: str) -> config.Stack:
        defaults = environment.defaults()
        return config.read({**defaults, **settings}, defaults)

    def assert_refused(self, words: str, **settings: str) -> None:
        with self.assertRaises(UserError) as caught:
            self.read(**settings)
        self.assertIn(words, str(caught.exception))


class RedisTests(StackTestCase):
    def test_where_no_address_is_set_it_is_ours_on_a_socket(self) -> None:
        service = self.read(STORAGE_DIR="/srv/a folder")
        self.assertEqual(service.redis, UnixSocket(Path("/srv/a folder/run/redis.sock")))
        self.assertEqual(service.redis_url, "unix:///srv/a%20folder/run/redis.sock")
        own = self.read(CACHE_BACKEND_URL=service.redis_url, FACES_START_REDIS="yes")
        self.assertEqual(own.redis, service.redis)

    def test_at_the_former_default_address_it_is_ours_too(self) -> None:
        service = self.read(CACHE_BACKEND_URL="redis://127.0.0.1:8283/0")
        self.assertEqual(service.redis, Address("127.0.0.1", 8283))

    def test_at_another_address_it_is_not_ours(self) -> None:
        self.assertIsNone(self.read(CACHE_BACKEND_URL="redis://127.0.0.1:6379/0").redis)

    def test_it_is_ours_elsewhere_if_asked_for(self) -> None:
        service = self.read(CACHE_BACKEND_URL="redis://localhost:7000/0", FACES_START_REDIS="yes")
        self.assertEqual(service.redis, Address("localhost", 7000))

    def test_ours_does_not_listen_to_the_network(self) -> None:
        for url in (
            "redis://10.0.0.1:7000/0",
            "redis://redis/0",
            "rediss://127.0.0.1/0",
            "unix://elsewhere/x",
        ):
            with self.subTest(url):
                self.assert_refused(
                    "on this machine only", CACHE_BACKEND_URL=url, FACES_START_REDIS="yes"
                )

    def test_a_choice_that_is_none(self) -> None:
        self.assert_refused("auto, yes or no", FACES_START_REDIS="maybe")


class SocketTests(StackTestCase):
    def test_the_backend_listens_on_a_socket_unless_an_address_is_set(self) -> None:
        found = self.read(STORAGE_DIR="/srv/faces").backend
        self.assertEqual(found, UnixSocket(Path("/srv/faces/run/backend.sock")))
        self.assertEqual(str(found), "unix:/srv/faces/run/backend.sock")
        own = self.read(FACES_BACKEND_BIND="unix:/run/faces.sock").backend
        self.assertEqual(own, UnixSocket(Path("/run/faces.sock")))
        tcp = self.read(FACES_BACKEND_BIND="127.0.0.1:8280").backend
        self.assertEqual(tcp, Address("127.0.0.1", 8280))

    def test_a_path_that_no_socket_can_have_is_refused_by_its_setting(self) -> None:
        deep = "/srv/" + "x" * 100
        self.assert_refused("STORAGE_DIR", STORAGE_DIR=deep)
        addresses = {
            "FACES_BACKEND_BIND": "127.0.0.1:8280",
            "FACES_WS_BIND": "127.0.0.1:8284",
            "CACHE_BACKEND_URL": "redis://r/0",
        }
        self.assertEqual(str(self.read(STORAGE_DIR=deep, **addresses).storage), deep)
        for path in ("unix:", "unix:relative.sock", 'unix:/a"b', "unix:/a:b"):
            with self.subTest(path):
                self.assert_refused("FACES_BACKEND_BIND", FACES_BACKEND_BIND=path)
                self.assert_refused("FACES_WS_BIND", FACES_WS_BIND=path)


class AddressTests(StackTestCase):
    def test_an_address_of_ip_version_6_stands_in_brackets(self) -> None:
        address = Address.parse("[::1]:8280", setting="X")
        self.assertEqual((address.host, address.port, str(address)), ("::1", 8280, "[::1]:8280"))

    def test_who_listens_everywhere_is_reached_at_loopback(self) -> None:
        self.assertEqual(str(Address("0.0.0.0", 80).reached_at), "127.0.0.1:80")
        self.assertEqual(str(Address("::", 80).reached_at), "[::1]:80")

    def test_what_is_no_address_is_refused_by_name(self) -> None:
        self.assert_refused("FACES_PORT", FACES_PORT="http")
        self.assert_refused("FACES_PORT", FACES_PORT="70000")
        self.assert_refused("FACES_WS_BIND", FACES_WS_BIND="8284")
        self.assert_refused("FACES_BACKEND_BIND", FACES_BACKEND_BIND="a b;:80")


class BindTests(StackTestCase):
    def listen(self, bind: str) -> list[str]:
        found = self.read(FACES_BIND=bind, FACES_PORT=str(free_port())).nginx_listen
        return [address.host for address in found]

    def test_localhost_answers_in_both_families(self) -> None:
        second = ["::1"] if config.has_ipv6() else []
        for bind in ("127.0.0.1", "localhost"):
            self.assertEqual(self.listen(bind), ["127.0.0.1", *second])
        self.assertEqual(self.listen("0.0.0.0"), ["0.0.0.0", *second])

    def test_an_address_is_spelled_as_docker_needs_it(self) -> None:
        for bind in ("::1", "[::1]", "0:0:0:0:0:0:0:1"):
            self.assertEqual(self.listen(bind), ["::1"])
        self.assertEqual(self.listen("192.168.1.5"), ["192.168.1.5"])
        for bind in ("", "faces.home", "127.0.0.1:80", "a b;"):
            self.assert_refused("FACES_BIND", FACES_BIND=bind)

    def test_all_addresses_are_those_of_both_families(self) -> None:
        self.assertEqual(self.listen("::"), ["::" if config.has_ipv6() else "0.0.0.0"])

    def test_what_another_program_holds_in_ipv6_is_left_to_it(self) -> None:
        if not config.has_ipv6():
            self.skipTest("no IPv6 here")
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
            port = str(taken.getsockname()[1])
            found = self.read(FACES_BIND="127.0.0.1", FACES_PORT=port).nginx_listen
        self.assertEqual([address.host for address in found], ["127.0.0.1"])

    def test_a_service_for_the_network_is_known_as_one(self) -> None:
        for bind, is_open in (
            ("127.0.0.1", False),
            ("::1", False),
            ("::", True),
            ("10.0.0.1", True),
        ):
            self.assertEqual(self.read(FACES_BIND=bind).is_open_to_network, is_open)


class PlaceTests(StackTestCase):
    def test_without_a_folder_everything_lies_in_the_checkout(self) -> None:
        self.assertEqual(self.read().storage, ROOT)

    def test_a_folder_that_nginx_could_not_name_is_refused(self) -> None:
        self.assert_refused("a character in its name", STORAGE_DIR="/tmp/$HOME")

    def test_who_moves_the_port_alone_gets_links_to_it(self) -> None:
        self.assertEqual(self.read(FACES_PORT="9000").service_url, "http://localhost:9000")
        own = {"FACES_PORT": "9000", "SERVICE_URL": "https://faces.example.org"}
        self.assertEqual(self.read(**own).service_url, "https://faces.example.org")

    def test_the_probe_asks_for_a_host_that_is_allowed(self) -> None:
        self.assertEqual(self.read(DJANGO_ALLOWED_HOSTS="*,.a.org, b.org").host_header, "b.org")
        self.assertEqual(self.read(DJANGO_ALLOWED_HOSTS="*").host_header, "localhost")
