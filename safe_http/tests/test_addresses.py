"""Which addresses, and names that lead to them, may be connected."""

import os
import socket
import threading
import time
from contextlib import ExitStack
from ipaddress import ip_address
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import env
from backend.common import download
from backend.common.download import DownloadError, addresses, connection
from backend.common.tests.test_download.web import (
    JPEG,
    Net,
    Server,
    answer,
    redirect,
)

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class AddressTests(SimpleTestCase):
    def test_addresses_that_images_come_from_are_public(self) -> None:
        for text in (PUBLIC, PUBLIC_6, "8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "2a00::1"):
            with self.subTest(text):
                self.assertIs(addresses.reach(ip_address(text)), addresses.Reach.PUBLIC)

    def test_an_allowed_host_may_be_private_and_nothing_worse(self) -> None:
        for text in ("127.0.0.1", "10.1.2.3", "192.168.1.2", "100.64.0.9", "::1", "fd12::1"):
            with self.subTest(text):
                self.assertTrue(addresses.may_connect(ip_address(text), listed=True))
        worse = (
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "fd00:ec2::254",
        )
        for text in (
            *worse,
            "100.100.100.200",
            "168.63.129.16",
            "255.255.255.255",
            "64:ff9b::a00:1",
        ):
            with self.subTest(text):
                self.assertFalse(addresses.may_connect(ip_address(text), listed=True))

    @settings(max_examples=300, deadline=None)
    @given(st.ip_addresses())
    def test_what_python_knows_as_special_is_never_public(self, address: addresses.Address) -> None:
        if not address.is_global or address.is_multicast:
            self.assertIsNot(addresses.reach(address), addresses.Reach.PUBLIC)


class NameTests(SimpleTestCase):
    """One look-up, and the connection goes to its answer."""

    def setUp(self) -> None:
        self.server = self.enterContext(Server({"/a.jpg": answer(JPEG)}))
        self.net = self.enterContext(Net())

    def test_the_address_that_was_checked_is_the_one_that_is_connected(self) -> None:
        self.net.names["photos.example.org"] = [[PUBLIC]]
        self.net.routes[PUBLIC, 80] = self.server.port
        with download.fetch("http://photos.example.org/a.jpg") as image:
            self.assertEqual(image.file.read(), JPEG)
        self.assertEqual(self.net.looked_up, ["photos.example.org"])
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])
        self.assertIn(b"\r\nHost: photos.example.org\r\n", self.server.requests[0])

    def test_a_name_whose_next_answer_is_private_gains_nothing(self) -> None:
        self.net.names["rebind.example.org"] = [[PUBLIC], ["127.0.0.1"]]
        self.net.routes[PUBLIC, 80] = self.server.port
        download.fetch("http://rebind.example.org/a.jpg").close()
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])
        with self.assertRaises(DownloadError):
            download.fetch("http://rebind.example.org/a.jpg")
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])

    def test_a_name_that_becomes_private_during_a_redirect_is_refused(self) -> None:
        self.net.names["rebind.example.org"] = [[PUBLIC], ["127.0.0.1"]]
        self.net.routes[PUBLIC, 80] = self.server.port
        self.server.replies["/b"] = redirect("/a.jpg")
        with self.assertRaises(DownloadError):
            download.fetch("http://rebind.example.org/b")
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])

    def test_the_next_address_is_tried_where_one_does_not_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        self.net.names["photos.example.org"] = [["8.8.8.8", PUBLIC]]
        self.net.routes = {("8.8.8.8", 80): nobody, (PUBLIC, 80): self.server.port}
        download.fetch("http://photos.example.org/a.jpg").close()
        self.assertEqual(self.net.connected, [("8.8.8.8", 80), (PUBLIC, 80)])

    def test_a_name_with_hundreds_of_addresses_has_us_knock_at_few(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = closed.getsockname()[1]
        many = [f"8.8.8.{n}" for n in range(200)]
        self.net.names["photos.example.org"] = [many]
        self.net.routes = {(each, 80): nobody for each in many}
        with self.assertRaises(DownloadError) as failed:
            download.fetch("http://photos.example.org/a.jpg")
        self.assertFalse(failed.exception.permanent)
        self.assertLess(len(self.net.connected), 5)

    def test_a_resolver_that_does_not_answer_is_not_awaited(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)
        started = time.monotonic()
        with (
            mock.patch.object(connection, "_resolve", lambda *_: over.wait(5) and []),
            self.assertRaises(DownloadError) as failed,
        ):
            download.fetch("http://photos.example.org/a.jpg", timeout_s=0.2)
        self.assertFalse(failed.exception.permanent)
        self.assertLess(time.monotonic() - started, 2)

    def test_a_resolver_in_trouble_is_worth_another_try(self) -> None:
        trouble = socket.gaierror(socket.EAI_AGAIN, "try again")
        with (
            mock.patch.object(socket, "getaddrinfo", side_effect=trouble),
            self.assertRaises(DownloadError) as failed,
        ):
            download.fetch("http://photos.example.org/a.jpg")
        self.assertFalse(failed.exception.permanent)

    def test_a_name_in_any_script_is_looked_up_as_browsers_do(self) -> None:
        self.net.names["xn--fotostrae-n1a.example.org"] = [[PUBLIC]]
        self.net.routes[PUBLIC, 80] = self.server.port
        download.fetch("http://FotoStraße。example.org./a.jpg").close()
        self.assertEqual(self.net.looked_up, ["xn--fotostrae-n1a.example.org"])


class AllowedHostTests(SimpleTestCase):
    def setUp(self) -> None:
        self.stack = self.enterContext(ExitStack())
        self.server = self.enterContext(Server({"/": answer(JPEG)}))
        self.net = self.enterContext(Net())
        for name in ("nas", "a.pictures.lan", "pictures.lan", "evilpictures.lan", "public.org"):
            self.net.names[name] = [["127.0.0.1"]]

    def may(self, host: str, *allowed: str) -> bool:
        with override_settings(FACES_DOWNLOAD_ALLOWED_HOSTS=list(allowed)):
            outcome = download.fetch_many([self.server.url("/", host)])[0]
        if isinstance(outcome, download.Download):
            outcome.close()
        return isinstance(outcome, download.Download)

    def test_a_host_is_allowed_by_its_name(self) -> None:
        self.assertTrue(self.may("nas", "nas"))
        self.assertTrue(self.may("NAS.", "nas"))
        self.assertFalse(self.may("nas", "na", "as", "x.nas", ".as", "nas.lan"))

    def test_a_host_is_allowed_at_one_port(self) -> None:
        self.assertTrue(self.may("nas", f"nas:{self.server.port}"))
        self.assertFalse(self.may("nas", "nas:80"))

    def test_a_domain_is_allowed_with_all_below_it(self) -> None:
        self.assertTrue(self.may("a.pictures.lan", ".pictures.lan"))
        self.assertTrue(self.may("pictures.lan", ".pictures.lan"))
        self.assertFalse(self.may("evilpictures.lan", ".pictures.lan"))

    def test_an_address_is_allowed_only_as_a_whole(self) -> None:
        self.assertTrue(self.may("127.0.0.1", "127.0.0.1"))
        self.assertFalse(self.may("127.0.0.1", ".0.0.1", "127.0.0.2", "localhost"))

    def test_an_allowed_address_does_not_allow_the_names_that_lead_to_it(self) -> None:
        self.assertFalse(self.may("public.org", "127.0.0.1"))

    def test_an_allowed_name_may_not_lead_to_metadata(self) -> None:
        self.net.names["nas"] = [["169.254.169.254"]]
        self.assertFalse(self.may("nas", "nas"))
        self.assertEqual(self.net.connected, [])

    def test_the_setting_is_read_as_hosts_and_refuses_anything_else(self) -> None:
        with mock.patch.dict(os.environ, HOSTS=" NAS, nas:81,.Lan., [FD00:0::1]:8080 ,10.0.0.1"):
            expected = ["nas", "nas:81", ".lan", "[fd00::1]:8080", "10.0.0.1"]
            self.assertEqual(env.hosts("HOSTS"), expected)
        for wrong in (
            "*",
            "http://nas",
            "nas/",
            "*.lan",
            "a b",
            "fd00::1",
            "[zz]",
            "[::g]",
            "nas:",
            ".",
        ):
            with (
                self.subTest(wrong),
                mock.patch.dict(os.environ, HOSTS=wrong),
                self.assertRaisesMessage(ImproperlyConfigured, "HOSTS"),
            ):
                env.hosts("HOSTS")
