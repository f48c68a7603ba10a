"""Which addresses, and names that lead to them, may be connected."""

import socket
import threading
import time
import unittest
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from safe_http import Download, FetchError, Policy, ip_policy, transport
from safe_http.tests.web import (
    CLIENT,
    JPEG,
    Net,
    Server,
    allowing,
    answer,
    redirect,
)

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class AddressTests(unittest.TestCase):
    def test_addresses_that_images_come_from_are_public(self) -> None:
        for text in (PUBLIC, PUBLIC_6, "8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "2a00::1"):
            with self.subTest(text):
                self.assertIs(ip_policy.reach(ip_address(text)), ip_policy.Reach.PUBLIC)

    def test_nat64_is_as_public_as_the_ipv4_address_inside(self) -> None:
        self.assertIs(ip_policy.reach(ip_address(f"64:ff9b::{PUBLIC}")), ip_policy.Reach.PUBLIC)
        for text in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16", "224.0.0.1"):
            with self.subTest(text):
                self.assertIs(
                    ip_policy.reach(ip_address(f"64:ff9b::{text}")), ip_policy.Reach.NEVER
                )

    def test_an_allowed_host_may_be_private_and_nothing_worse(self) -> None:
        for text in ("127.0.0.1", "10.1.2.3", "192.168.1.2", "100.64.0.9", "::1", "fd12::1"):
            with self.subTest(text):
                self.assertTrue(ip_policy.may_connect(ip_address(text), allow_private=True))
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
            # Metadata as an IPv4 address inside: mapped, 6to4, NAT64, compatible.
            "169.254.100.1",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::",
            "64:ff9b::a9fe:a9fe",
            "::a9fe:a9fe",
        ):
            with self.subTest(text):
                self.assertFalse(ip_policy.may_connect(ip_address(text), allow_private=True))

    @settings(max_examples=300, deadline=None)
    @given(st.ip_addresses())
    def test_what_python_knows_as_special_is_never_public(self, address: ip_policy.Address) -> None:
        if not address.is_global or address.is_multicast:
            self.assertIsNot(ip_policy.reach(address), ip_policy.Reach.PUBLIC)


class NameTests(unittest.TestCase):
    """One look-up, and the connection goes to its answer."""

    def setUp(self) -> None:
        self.server = self.enterContext(Server({"/a.jpg": answer(JPEG)}))
        self.net = self.enterContext(Net())

    def test_the_address_that_was_checked_is_the_one_that_is_connected(self) -> None:
        self.net.names["photos.example.org"] = [[PUBLIC]]
        self.net.routes[PUBLIC, 80] = self.server.port
        with CLIENT.fetch("http://photos.example.org/a.jpg") as image:
            self.assertEqual(image.file.read(), JPEG)
        self.assertEqual(self.net.looked_up, ["photos.example.org"])
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])
        self.assertIn(b"\r\nHost: photos.example.org\r\n", self.server.requests[0])

    def test_a_name_whose_next_answer_is_private_gains_nothing(self) -> None:
        self.net.names["rebind.example.org"] = [[PUBLIC], ["127.0.0.1"]]
        self.net.routes[PUBLIC, 80] = self.server.port
        CLIENT.fetch("http://rebind.example.org/a.jpg").close()
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])
        with self.assertRaises(FetchError):
            CLIENT.fetch("http://rebind.example.org/a.jpg")
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])

    def test_a_name_that_becomes_private_during_a_redirect_is_refused(self) -> None:
        self.net.names["rebind.example.org"] = [[PUBLIC], ["127.0.0.1"]]
        self.net.routes[PUBLIC, 80] = self.server.port
        self.server.replies["/b"] = redirect("/a.jpg")
        with self.assertRaises(FetchError):
            CLIENT.fetch("http://rebind.example.org/b")
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])

    def test_the_next_address_is_tried_where_one_does_not_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            closed_port = closed.getsockname()[1]
        self.net.names["photos.example.org"] = [["8.8.8.8", PUBLIC]]
        self.net.routes = {("8.8.8.8", 80): closed_port, (PUBLIC, 80): self.server.port}
        CLIENT.fetch("http://photos.example.org/a.jpg").close()
        self.assertEqual(self.net.connected, [("8.8.8.8", 80), (PUBLIC, 80)])

    def test_a_name_with_hundreds_of_addresses_has_us_knock_at_few(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            closed_port = closed.getsockname()[1]
        many = [f"8.8.8.{n}" for n in range(200)]
        self.net.names["photos.example.org"] = [many]
        self.net.routes = {(each, 80): closed_port for each in many}
        with self.assertRaises(FetchError) as failed:
            CLIENT.fetch("http://photos.example.org/a.jpg")
        self.assertFalse(failed.exception.permanent)
        self.assertLess(len(self.net.connected), 5)

    def test_a_resolver_that_does_not_answer_is_not_awaited(self) -> None:
        over = threading.Event()
        self.addCleanup(over.set)
        started = time.monotonic()
        with (
            mock.patch.object(transport, "_resolve", lambda *_: over.wait(60) and []),
            self.assertRaises(FetchError) as failed,
        ):
            CLIENT.fetch("http://photos.example.org/a.jpg", timeout_s=0.2)
        self.assertFalse(failed.exception.permanent)
        self.assertLess(time.monotonic() - started, 20)

    def test_a_resolver_in_trouble_is_worth_another_try(self) -> None:
        trouble = socket.gaierror(socket.EAI_AGAIN, "try again")
        with (
            mock.patch.object(socket, "getaddrinfo", side_effect=trouble),
            self.assertRaises(FetchError) as failed,
        ):
            CLIENT.fetch("http://photos.example.org/a.jpg")
        self.assertFalse(failed.exception.permanent)

    def test_a_name_in_any_script_is_looked_up_as_browsers_do(self) -> None:
        self.net.names["xn--fotostrae-n1a.example.org"] = [[PUBLIC]]
        self.net.routes[PUBLIC, 80] = self.server.port
        CLIENT.fetch("http://FotoStraße。example.org./a.jpg").close()
        self.assertEqual(self.net.looked_up, ["xn--fotostrae-n1a.example.org"])


class AllowedHostTests(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = self.enterContext(ExitStack())
        self.server = self.enterContext(Server({"/": answer(JPEG)}))
        self.net = self.enterContext(Net())
        for name in ("nas", "a.pictures.lan", "pictures.lan", "evilpictures.lan", "public.org"):
            self.net.names[name] = [["127.0.0.1"]]

    def may(self, host: str, *allowed: str) -> bool:
        outcome = allowing(*allowed).fetch_many([self.server.url("/", host)])[0]
        if isinstance(outcome, Download):
            outcome.close()
        return isinstance(outcome, Download)

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


class AllowPrivateTests(unittest.TestCase):
    """The policy of the Lambda function: its invoker may name private hosts, a redirect may not."""

    def setUp(self) -> None:
        self.server = self.enterContext(Server({"/a.jpg": answer(JPEG)}))
        self.net = self.enterContext(Net())
        self.net.names = {"nginx": [["127.0.0.1"]], "photos.example.org": [[PUBLIC]]}
        self.net.routes[PUBLIC, 80] = self.server.port
        self.client = replace(CLIENT, policy=Policy(allow_private=True))

    def test_a_private_host_may_be_named_and_redirect_to_another(self) -> None:
        self.client.fetch(self.server.url("/a.jpg", "nginx")).close()
        self.server.replies["/b"] = redirect(self.server.url("/a.jpg"))
        self.client.fetch(self.server.url("/b", "nginx")).close()
        answered = self.client.request("GET", self.server.url("/b", "nginx"), timeout_s=30)
        self.assertEqual(answered.status, 302)

    def test_a_public_host_may_not_redirect_to_a_private_one(self) -> None:
        self.server.replies["/b"] = redirect(self.server.url("/a.jpg"))
        with self.assertRaises(FetchError) as refused:
            self.client.fetch("http://photos.example.org/b")
        self.assertTrue(refused.exception.permanent)
        self.assertEqual(self.net.connected, [(PUBLIC, 80)])

    def test_metadata_is_not_for_them_either(self) -> None:
        self.net.names["nginx"] = [["169.254.169.254"]]
        for url in ("http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://nginx/"):
            with self.subTest(url), self.assertRaises(FetchError):
                self.client.request("GET", url, timeout_s=30)
        self.assertEqual(self.net.connected, [])

    def test_what_is_forbidden_is_not_connected_under_any_name(self) -> None:
        policy = Policy(allow_private=True, forbidden=f"127.0.0.1:{self.server.port}")
        client = replace(CLIENT, policy=policy)
        for host in ("127.0.0.1", "127.0.0.2", "nginx"):
            with self.subTest(host), self.assertRaisesRegex(FetchError, "not asked"):
                client.fetch(self.server.url("/a.jpg", host))
        self.assertEqual(self.net.connected, [])
