"""https: the certificate must be for the host of the URL, wherever that was found."""

import os
import socket
import ssl
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import certifi

from safe_http import Client, FetchError, transport
from safe_http.tests.web import (
    CLIENT,
    JPEG,
    Net,
    Server,
    allowing,
    answer,
    certificate,
    redirect,
)

PUBLIC = "93.184.215.14"


class TlsTests(unittest.TestCase):
    """https: the certificate must be for the host of the URL, wherever that was found."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.pem = certificate(folder, "photos.example.org")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.pem)
        self.names_asked: list[str | None] = []
        tls.sni_callback = lambda _, name, __: self.names_asked.append(name)
        self.server = self.enterContext(Server({"/a.jpg": answer(JPEG)}, tls=tls))
        self.net = self.enterContext(Net())
        for name in ("photos.example.org", "other.example.org"):
            self.net.names[name] = [[PUBLIC]]
        self.net.routes = {(PUBLIC, 443): self.server.port}
        transport.tls_context.cache_clear()
        self.addCleanup(transport.tls_context.cache_clear)

    def trusted(self) -> None:
        self.enterContext(mock.patch.dict(os.environ, SSL_CERT_FILE=str(self.pem)))

    def assert_fails(self, url: str, *, permanent: bool = True, client: Client = CLIENT) -> None:
        with self.assertRaises(FetchError) as failed:
            client.fetch(url, timeout_s=20)
        self.assertEqual(failed.exception.permanent, permanent, failed.exception.message)
        self.assertEqual(self.server.requests, [])

    def test_an_image_comes_over_https_from_the_checked_address(self) -> None:
        self.trusted()
        with CLIENT.fetch("https://photos.example.org/a.jpg") as image:
            self.assertEqual(image.file.read(), JPEG)
        self.assertEqual(self.net.connected, [(PUBLIC, 443)])
        self.assertEqual(self.names_asked, ["photos.example.org"])

    def test_a_certificate_for_another_name_is_refused(self) -> None:
        self.trusted()
        self.assert_fails("https://other.example.org/a.jpg")
        self.assert_fails(f"https://{PUBLIC}/a.jpg")

    def test_a_certificate_of_an_unknown_issuer_is_refused(self) -> None:
        self.assert_fails("https://photos.example.org/a.jpg")

    def test_an_allowed_host_needs_a_certificate_too(self) -> None:
        url = f"https://127.0.0.1:{self.server.port}/a.jpg"
        self.assert_fails(url, client=allowing("127.0.0.1"))

    def test_a_redirect_from_https_to_http_is_not_followed(self) -> None:
        self.trusted()
        self.server.replies["/b"] = redirect("http://photos.example.org/a.jpg")
        with self.assertRaises(FetchError) as failed:
            CLIENT.fetch("https://photos.example.org/b")
        self.assertTrue(failed.exception.permanent)
        self.assertEqual(self.net.connected, [(PUBLIC, 443)])

    def test_an_end_without_a_goodbye_may_be_a_cut_and_is_not_taken(self) -> None:
        self.trusted()

        def cut(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + JPEG[:900])
            connection.shutdown(socket.SHUT_RDWR)

        self.server.replies["/cut"] = cut
        with self.assertRaises(FetchError) as failed:
            CLIENT.fetch("https://photos.example.org/cut")
        self.assertFalse(failed.exception.permanent)

    def test_a_system_without_authorities_gets_those_of_certifi(self) -> None:
        none = mock.Mock(cafile=None, capath=None)
        with mock.patch.object(ssl, "get_default_verify_paths", return_value=none):
            found = transport.tls_context().get_ca_certs(binary_form=True)
        of_certifi = ssl.create_default_context(cafile=certifi.where())
        self.assertEqual(set(found), set(of_certifi.get_ca_certs(binary_form=True)))
        self.assertGreater(len(found), 10)

    def test_a_handshake_without_end_is_left_when_the_time_is_over(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            self.net.routes[PUBLIC, 443] = silent.getsockname()[1]
            started = time.monotonic()
            with self.assertRaises(FetchError):
                CLIENT.fetch("https://photos.example.org/a.jpg", timeout_s=0.3)
            self.assertLess(time.monotonic() - started, 15)

    def test_https_to_a_server_without_it_is_refused(self) -> None:
        with Server({"/a.jpg": answer(JPEG)}) as plain:
            self.net.routes[PUBLIC, 443] = plain.port
            self.assert_fails("https://photos.example.org/a.jpg", permanent=False)
