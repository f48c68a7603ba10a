"""URLs that lead where no image is: each refused, and nothing is connected."""

import unittest
from unittest import mock

from safe_http import Client, FetchError, url_policy
from safe_http.tests.web import (
    CLIENT,
    Net,
    Server,
    allowing,
    listeners,
    redirect,
    was_touched,
)

PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

# Each is tried as it is, at the default port, and at a port where something listens on loopback.
HOSTILE_HOSTS = (
    # IPv4 that is not public, as it is written.
    *("127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1"),
    *("172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255"),
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.88.99.1", "192.31.196.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "127.0.0.1."),
    # The same in the notations of inet_aton, which connect() and many libraries understand.
    *("2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1"),
    *("0", "0x0", "127.0.0.01", "0x7F.1", "127.0x0.0.1", "2852039166", "0xA9FEA9FE", "10.1"),
    *("00000177.0.0.1", "127.0.0.0x1", "4294967297", "127.0.0.1.", "0x7f.0x0.0x0.0x1."),
    # Letters and full stops that become an address.
    *("127。0。0。1", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127．0．0．1", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "loc\u00adalhost"),
    *("ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "LOCALHOST", "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "127.0.0.1%00.example.org"),
    # IPv6.
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]"),
    *("[2001:0:53aa:64c:0:fbff:80ff:fffe]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]"),
    *("[::1%25lo]", "[fec0::1]", "[fc00::1]", "[fd12:3456::1]", "[fd00:ec2::254]", "[ff02::1]"),
    *("[ff0e::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[2001:10::1]"),
    *("[2606:2800::5efe:7f00:1]", "[::ffff:93.184.215.14]", "[4000::1]", "[v1.fe80]"),
    "[127.0.0.1]",
    # Names that are not public by their form, and names that lead inside.
    *("localhost", "localhost.", "a.localhost", "localhost.localdomain", "redis", "backend"),
    "nas.",
    *("metadata.google.internal", "router.lan", "printer.local", "nas.home.arpa", "x.onion"),
    *("loopback.example.org", "seven.example.org", "mixed.example.org", "mapped.example.org"),
    *("scoped.example.org", "metadata.example.org", "six.example.org", "unknown.example.org"),
)

# Whole URLs. `{port}` is a port where something listens on loopback.
HOSTILE_URLS = (
    *("file:///etc/passwd", "ftp://127.0.0.1:{port}/", "gopher://127.0.0.1:{port}/_x", "data:,x"),
    *("//127.0.0.1:{port}/", "127.0.0.1:{port}/", "/etc/passwd", "", "http:", "http://"),
    "http:///x",
    *("unix:///var/run/docker.sock", "dict://127.0.0.1:{port}/", "ws://127.0.0.1:{port}/", "x"),
    *("http:127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "jar:http://127.0.0.1:{port}/!/"),
    # Parsers differ about the host.
    *("http://photos.example.org@127.0.0.1:{port}/", "http://127.0.0.1:{port}@photos.example.org/"),
    *("http://user:secret@photos.example.org/", "http://@photos.example.org/", "http://a@b@c/"),
    *("http://photos.example.org\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\.example.org/"),
    *("http://127.0.0.1:{port}#.example.org/", "http://127.0.0.1:{port}?.example.org/"),
    *("http:\\\\127.0.0.1:{port}\\", "http://127.0.0.1 .example.org/"),
    "http://127.0.0.1\t:{port}/",
    *("http://127.0.0.1\r\nHost: x:{port}/", "http://photos.example.org/\r\nX: y"),
    " http://x.org/",
    *("http://photos.example.org/\x00", "http://photos.example.org/a b", "http://[::1/"),
    "http://::1/",
    *("http://[::1]x:{port}/", "http://x[::1]:{port}/", "http://127.0.0.1:{port}:80/"),
    *("http://127.0.0.1:٨٠٨٠/", "http://127.0.0.1:+80/", "http://127.0.0.1:-1/"),
    "http://.:{port}/",
    *("http://photos..example.org/", "http://-x.example.org/", "http://.example.org/"),
    *("http://exam!ple.org/", "http://a,b.org/", "http://" + "a" * 64 + ".org/"),
    *("http://" + "é" * 300 + ".org/", "http://" + "a." * 130 + "org/", "http://\ud800.org/"),
    *("http://photos.example.org/\udfff", "http://photos.example.org/" + "x" * 5000),
    # Ports where no web server listens.
    *("http://photos.example.org:{port}/", "http://photos.example.org:22/"),
    *("http://photos.example.org:25/", "http://photos.example.org:6379/"),
    *("http://photos.example.org:0/", "https://photos.example.org:99999/"),
)

NAMES = {
    "loopback.example.org": ["127.0.0.1"],
    "seven.example.org": ["0.0.0.0"],
    "mixed.example.org": [PUBLIC, "10.0.0.1"],
    "mapped.example.org": ["::ffff:127.0.0.1"],
    "scoped.example.org": ["fe80::1%lo"],
    "metadata.example.org": ["169.254.169.254"],
    "six.example.org": [PUBLIC_6, "::1"],
    "localhost": ["127.0.0.1", "::1"],
    "a.localhost": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "redis": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "photos.example.org": [PUBLIC],
}


class HostileUrlTests(unittest.TestCase):
    """No name is reached and nothing on loopback is touched; tried with every port open."""

    def setUp(self) -> None:
        self.client: Client = CLIENT
        self.listeners = self.enterContext(listeners())
        self.net = self.enterContext(Net())
        self.net.names = {name: [answers] for name, answers in NAMES.items()}
        self.port = self.listeners[0].getsockname()[1]

    def assert_refused(self, url: str) -> FetchError:
        with self.subTest(url), self.assertRaises(FetchError) as refused:
            self.client.fetch(url, timeout_s=20)
        with self.subTest(f"{url} connects to nothing"):
            self.assertEqual(self.net.connected, [])
            self.assertFalse(any(was_touched(listener) for listener in self.listeners))
        self.assertTrue(refused.exception.permanent, url)
        return refused.exception

    def test_there_are_more_than_sixty_of_them(self) -> None:
        self.assertGreater(len(set(HOSTILE_HOSTS)), 60)
        self.assertGreater(len(set(HOSTILE_URLS)), 40)

    def test_a_hostile_host_is_refused_before_anything_is_connected(self) -> None:
        for host in HOSTILE_HOSTS:
            self.assert_refused(f"http://{host}/image.jpg")
            self.assert_refused(f"https://{host}/image.jpg")

    def test_it_is_the_host_that_is_refused_not_only_its_port(self) -> None:
        with mock.patch.object(url_policy, "_PORTS", frozenset((self.port,))):
            for host in HOSTILE_HOSTS:
                self.assert_refused(f"http://{host}:{self.port}/image.jpg")

    def test_a_hostile_url_is_refused_before_anything_is_connected(self) -> None:
        for url in HOSTILE_URLS:
            self.assert_refused(url.replace("{port}", str(self.port)))

    def test_only_names_that_look_public_are_looked_up(self) -> None:
        for host in HOSTILE_HOSTS:
            self.assert_refused(f"http://{host}/")
        self.assertEqual({name.partition(".")[2] for name in self.net.looked_up}, {"example.org"})

    def test_an_unknown_name_and_a_private_one_get_the_same_message(self) -> None:
        unknown = self.assert_refused("http://unknown.example.org/").message
        private = self.assert_refused("http://loopback.example.org/").message
        self.assertEqual(
            unknown.replace("unknown.example.org", "NAME"),
            private.replace("loopback.example.org", "NAME"),
        )

    def test_a_redirect_to_a_hostile_place_is_not_followed(self) -> None:
        places = [f"http://{host}/" for host in HOSTILE_HOSTS if host.isascii()]
        places += [
            url for url in HOSTILE_URLS if url.isascii() and url.isprintable() and ":/" in url
        ]
        with Server() as server:
            self.net.routes[PUBLIC, 80] = server.port
            for number, place in enumerate(places):
                location = place.replace("{port}", str(self.port))
                server.replies[f"/{number}"] = redirect(location)
                with self.subTest(location), self.assertRaises(FetchError):
                    CLIENT.fetch(f"http://photos.example.org/{number}", timeout_s=20)
            self.assertEqual(set(self.net.connected), {(PUBLIC, 80)})
            self.assertGreaterEqual(server.connections, len(places))
        self.assertFalse(any(was_touched(listener) for listener in self.listeners))

    def test_the_message_names_the_fault_of_the_url(self) -> None:
        for url, word in (
            ("ftp://photos.example.org/", "https"),
            ("http://user:secret@photos.example.org/", "password"),
            ("http://photos.example.org:22/", "22"),
            ("http://10.0.0.1/", "10.0.0.1"),
            ("http://photos.example.org/" + "x" * 5000, "4096"),
        ):
            self.assertIn(word, self.assert_refused(url).message)

    def test_an_allowed_host_at_one_port_is_not_allowed_at_another(self) -> None:
        self.client = allowing("127.0.0.1:1")
        self.assert_refused(f"http://127.0.0.1:{self.port}/")
