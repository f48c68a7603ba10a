"""What web servers do, good and bad, and the images that are had from them."""

import dataclasses
import hashlib
import os
import pickle
import socket
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from safe_http import Client, Download, FetchError
from safe_http.tests.web import (
    JPEG,
    Net,
    Reply,
    Server,
    allowing,
    answer,
    endless,
    raw,
    redirect,
)
from tests.support import image_factories


class AnswerTests(unittest.TestCase):
    """What servers do, good and bad; here one on loopback is allowed, as a NAS would be."""

    def setUp(self) -> None:
        self.client: Client = allowing("127.0.0.1")
        self.server = self.enterContext(Server())
        self.net = self.enterContext(Net())

    def fetch(self, reply: Reply, *, max_bytes: int = 1 << 20, timeout_s: float = 5) -> Download:
        self.server.replies["/x"] = reply
        client = dataclasses.replace(self.client, max_bytes=max_bytes, timeout_s=timeout_s)
        return client.fetch(self.server.url("/x"))

    def assert_fails(
        self, reply: Reply, *, permanent: bool, max_bytes: int = 1 << 20, timeout_s: float = 5
    ) -> FetchError:
        with self.assertRaises(FetchError) as failed:
            self.fetch(reply, max_bytes=max_bytes, timeout_s=timeout_s)
        self.assertEqual(failed.exception.permanent, permanent, failed.exception.message)
        return failed.exception

    # --- images

    def test_an_image_is_had_with_all_that_is_known_of_it(self) -> None:
        with self.fetch(answer(JPEG)) as image:
            self.assertEqual(image.file.read(), JPEG)
            self.assertEqual(image.file.seek(0), 0)
            self.assertEqual(image.sha256, hashlib.sha256(JPEG).hexdigest())
            self.assertEqual((image.size, image.format), (len(JPEG), "jpeg"))
            self.assertEqual(image.final_url, self.server.url("/x"))
        self.assertTrue(image.file.closed)

    def test_every_format_of_the_engine_is_recognised(self) -> None:
        names = {"HEIC": "heif"}
        for kind in image_factories.FORMATS:
            with (
                self.subTest(kind),
                self.fetch(
                    answer(image_factories.encoded(image_factories.faceless(), kind))
                ) as image,
            ):
                self.assertEqual(image.format, names.get(kind, kind.lower()))

    def test_a_large_image_comes_whole_through_a_file(self) -> None:
        data = JPEG + os.urandom(6 << 20)
        with self.fetch(answer(data), max_bytes=len(data)) as image:
            self.assertEqual(image.file.read(), data)

    def test_types_that_stores_give_their_files_are_taken(self) -> None:
        for kind in ("application/octet-stream", "binary/octet-stream", "Image/JPEG; a=b", None):
            with self.subTest(kind):
                self.fetch(answer(JPEG, "200 OK", kind)).close()

    def test_bodies_in_chunks_and_bodies_until_the_end_are_taken(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (JPEG[:7], JPEG[7:50], JPEG[50:]))
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        for data in (chunked, head + b"\r\n" + JPEG):
            with self.subTest(data[:70]), self.fetch(raw(data)) as image:
                self.assertEqual(image.file.read(), JPEG)

    def test_redirects_are_followed_to_the_image(self) -> None:
        self.server.replies |= {
            "/a": redirect("/b?token=1", "301 Moved Permanently"),
            "/b?token=1": redirect(
                f"http://127.0.0.1:{self.server.port}/c", "307 Temporary Redirect"
            ),
            "/c": redirect("d%20e/fé.jpg#part", "308 Permanent Redirect"),
            "/d%20e/f%C3%A9.jpg": answer(JPEG),
        }
        # Header bytes are UTF-8 here, as servers send them.
        self.server.replies["/c"] = raw(
            "HTTP/1.1 308 Gone\r\nLocation: d%20e/fé.jpg#part\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with self.client.fetch(self.server.url("/a#x")) as image:
            self.assertEqual(image.final_url, self.server.url("/d%20e/f%C3%A9.jpg"))

    def test_the_host_ends_where_it_does_for_browsers(self) -> None:
        self.server.replies |= {"/": answer(JPEG), "/?@10.0.0.1/": answer(JPEG)}
        for end in ("#@10.0.0.1/", "/#\u2028", "?@10.0.0.1/"):
            with self.subTest(end):
                self.client.fetch(f"http://127.0.0.1:{self.server.port}{end}").close()
        self.assertEqual({address for address, _ in self.net.connected}, {"127.0.0.1"})

    def test_an_empty_path_is_the_root(self) -> None:
        self.server.replies["/?size=1"] = answer(JPEG)
        self.client.fetch(f"http://127.0.0.1:{self.server.port}?size=1").close()

    def test_a_request_carries_nothing_of_ours(self) -> None:
        netrc = Path(self.enterContext(tempfile.TemporaryDirectory())) / "netrc"
        netrc.write_text("machine 127.0.0.1 login alice password secret\n")
        self.server.replies["/a"] = answer(
            b"", "302 Found", None, "Location: /x", "Set-Cookie: session=secret"
        )
        self.server.replies["/x"] = answer(JPEG)
        away = "http://127.0.0.1:9/"
        proxies = {f"{kind}_PROXY": away for kind in ("HTTP", "HTTPS", "ALL")} | {
            "http_proxy": away
        }
        with mock.patch.dict(os.environ, {**proxies, "NETRC": str(netrc)}):
            self.client.fetch(self.server.url("/a")).close()
        sent = b"".join(self.server.requests).lower()
        for header in (b"cookie", b"authorization", b"referer", b"secret"):
            self.assertNotIn(header, sent)
        self.assertIn(b"accept-encoding: identity\r\n", sent)
        self.assertEqual({port for _, port in self.net.connected}, {self.server.port})

    # --- answers that are none

    def test_a_status_other_than_200_says_whether_to_try_again(self) -> None:
        for status in ("204 No", "206 Part", "304 Same", "401 No", "403 No", "404 No", "410 Gone"):
            with self.subTest(status):
                self.assert_fails(answer(JPEG, status), permanent=True)
        for status in ("408 Slow", "425 Early", "429 Often", "500 Broken", "502 Bad", "503 Later"):
            with self.subTest(status):
                self.assert_fails(answer(JPEG, status), permanent=False)

    def test_other_types_than_images_are_refused(self) -> None:
        for kind in ("text/html", "application/json", "video/mp4", "imagine/jpeg", "", "image"):
            with self.subTest(kind):
                self.assert_fails(answer(JPEG, "200 OK", kind), permanent=True)

    def test_two_types_are_as_good_as_the_worse(self) -> None:
        reply = answer(JPEG, "200 OK", "image/jpeg", "Content-Type: text/html")
        self.assert_fails(reply, permanent=True)

    def test_what_only_says_that_it_is_an_image_is_refused(self) -> None:
        svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>' + b" " * 100
        for data in (
            b"<!DOCTYPE html><html>" + b" " * 100,
            svg,
            b"",
            b"\xff\xd8",
            b"BM" + b"x" * 99,
        ):
            with self.subTest(data[:20]):
                self.assert_fails(answer(data), permanent=True)

    def test_what_is_no_image_is_left_at_its_first_bytes(self) -> None:
        page = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n<html>"
        started = time.monotonic()
        self.assert_fails(endless(page, b"x" * 9999, self.server.ended, 0.001), permanent=True)
        self.assertLess(time.monotonic() - started, 4)  # the client's own time is 5 s

    def test_an_encoded_body_is_refused_and_never_decoded(self) -> None:
        for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
            with self.subTest(encoding):
                reply = answer(JPEG, "200 OK", "image/jpeg", f"Content-Encoding: {encoding}")
                self.assert_fails(reply, permanent=True)
        # A bomb that does not say so is what it is: bytes that are no image.
        bomb = b"\x1f\x8b\x08" + b"\0" * 1000
        self.assert_fails(answer(bomb, "200 OK", "image/jpeg"), permanent=True)
        gzipped = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + bomb
        self.assert_fails(raw(gzipped), permanent=False)

    def test_redirects_to_nowhere_are_refused(self) -> None:
        for reply in (
            answer(b"", "302 Found", None),
            answer(b"", "302 Found", None, "Location: /a", "Location: /b"),
            raw(b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe\r\nContent-Length: 0\r\n\r\n"),
            redirect("http://[/"),
        ):
            self.assert_fails(reply, permanent=True)

    def test_a_redirect_to_another_host_is_checked_like_a_first_url(self) -> None:
        with Server({"/": answer(JPEG)}) as other:
            for host in ("127.0.0.2", "localhost", "[::1]", "0.0.0.0", "127.1"):
                self.assert_fails(redirect(other.url("/", host)), permanent=True)
            self.assertEqual(other.connections, 0)

    def test_redirects_in_a_circle_end(self) -> None:
        self.assert_fails(redirect("/x"), permanent=True)
        self.assertEqual(self.server.connections, 4)

    def test_redirects_can_be_forbidden(self) -> None:
        self.client = allowing("127.0.0.1", max_redirects=0)
        self.assert_fails(redirect("/x"), permanent=True)
        self.assertEqual(self.server.connections, 1)

    # --- servers that never end, or end too early

    def test_a_body_without_end_is_cut_at_the_limit(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + JPEG
        reply = endless(head, b"x" * 65536, self.server.ended)
        self.assert_fails(reply, max_bytes=1 << 20, permanent=True)

    def test_a_length_over_the_limit_is_refused_unread(self) -> None:
        reply = endless(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 1048577\r\n\r\n",
            b"",
            self.server.ended,
            0.01,
        )
        self.assert_fails(reply, permanent=True)

    def test_a_length_that_lies_gains_nothing(self) -> None:
        shorter = answer(
            JPEG + b"x" * (2 << 20), "200 OK", "image/jpeg", f"Content-Length: {len(JPEG)}"
        )
        with self.fetch(shorter) as image:
            self.assertEqual(image.file.read(), JPEG)
        longer = answer(JPEG, "200 OK", "image/jpeg", f"Content-Length: {len(JPEG) + 1}")
        self.assert_fails(longer, permanent=False)
        for value in ("-1", "x", "1e3", "9" * 5000):
            with self.subTest(value[:9]):
                reply = answer(JPEG, "200 OK", "image/jpeg", f"Content-Length: {value}")
                self.assert_fails(reply, permanent=False)
        twice = ("Content-Length: 5", "Content-Length: 6")
        self.assert_fails(answer(JPEG, "200 OK", "image/jpeg", *twice), permanent=False)

    def test_exactly_the_limit_is_taken(self) -> None:
        self.fetch(answer(JPEG), max_bytes=len(JPEG)).close()
        self.assert_fails(answer(JPEG), max_bytes=len(JPEG) - 1, permanent=True)

    def test_one_byte_over_the_limit_is_refused_also_without_a_length(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
        chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(JPEG), JPEG)
        for data in (head + b"\r\n" + JPEG, head + chunked):
            with self.subTest(data[:70]):
                self.fetch(raw(data), max_bytes=len(JPEG)).close()
                self.assert_fails(raw(data), max_bytes=len(JPEG) - 1, permanent=True)

    def test_no_time_is_no_time(self) -> None:
        self.assert_fails(answer(JPEG), permanent=False, timeout_s=1e-9)

    def test_slow_servers_are_left_when_the_time_is_over(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
        body = head + b"\r\n" + JPEG
        for start, more in ((b"", b""), (b"", b"H"), (head, b"X-A: b\r\n"), (body, b"x")):
            with self.subTest(start=start[:60], more=more):
                started = time.monotonic()
                self.assert_fails(
                    endless(start, more, self.server.ended, 0.05), permanent=False, timeout_s=0.3
                )
                self.assertLess(time.monotonic() - started, 15)

    def test_time_is_for_all_redirects_together(self) -> None:
        def slowly(connection: socket.socket) -> None:
            self.server.ended.wait(0.2)
            redirect("/x")(connection)

        # Were it for each alone, there would be too many of them in the end, which is permanent.
        self.assert_fails(slowly, permanent=False, timeout_s=0.3)

    def test_headers_without_end_are_not_taken(self) -> None:
        line = b"X-Padding: " + b"x" * 2000 + b"\r\n"
        for start, more in (
            (b"HTTP/1.1 200 OK\r\n", line),
            (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
            (b"HTTP/1.1 200 ", b"x" * 4000),
        ):
            with self.subTest(start):
                self.assert_fails(endless(start, more, self.server.ended), permanent=True)

    def test_chunks_that_are_mostly_wrapping_are_not_taken_without_end(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
        more = b"1;" + b"e" * 9000 + b"\r\n\xff\r\n"
        first = b"3\r\n\xff\xd8\xff\r\n"
        reply = endless(head + first, more, self.server.ended)
        self.assert_fails(reply, max_bytes=100_000, permanent=True)

    def test_a_connection_that_ends_early_is_worth_another_try(self) -> None:
        whole = (
            f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(JPEG)}\r\n\r\n"
        )
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\xff\xd8\xff\r\n"
        for data in (b"", b"HTTP/1.1 200 O", whole.encode() + JPEG[:500], chunked):
            with self.subTest(data[:60]):
                self.assert_fails(raw(data), permanent=False)

    def test_a_connection_that_breaks_is_worth_another_try(self) -> None:
        def reset(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + JPEG)
            # No goodbye but a reset (SO_LINGER with no time).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        self.assert_fails(reset, permanent=False)

    def test_a_server_that_is_not_there_is_worth_another_try(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        with self.assertRaises(FetchError) as failed:
            self.client.fetch(f"http://127.0.0.1:{port}/")
        self.assertFalse(failed.exception.permanent)

    def test_a_server_that_does_not_speak_http_is_refused(self) -> None:
        for data in (b"SSH-2.0-OpenSSH_9.2\r\n", b"-ERR unknown command\r\n", JPEG, b"\0" * 100):
            with self.subTest(data[:20]):
                self.assert_fails(raw(data), permanent=False)
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        with self.assertRaises(FetchError):
            self.fetch(raw(upgrade))

    @settings(max_examples=150, deadline=None)
    @given(
        st.one_of(
            st.binary(max_size=300),
            st.lists(
                st.sampled_from(
                    [
                        *(
                            b"HTTP/1.1 ",
                            b"HTTP/1.0 ",
                            b"200",
                            b"302",
                            b"99",
                            b" OK",
                            b"\r\n",
                            b"\n",
                        ),
                        *(b"Content-Length: ", b"Transfer-Encoding: chunked", b"Location: ", b"/"),
                        *(b"Content-Type: image/jpeg", b"http://", b"[", b"]", b"%", b":", b"\xff"),
                        *(
                            b"5",
                            b"0",
                            b";",
                            b"\0",
                            b"\xff\xd8\xff",
                            b"Content-Encoding: ",
                            b"\r\n\r\n",
                        ),
                    ]
                ),
                max_size=30,
            ).map(b"".join),
        )
    )
    def test_whatever_a_server_sends_is_an_image_or_a_download_error(self, data: bytes) -> None:
        try:
            self.fetch(raw(data)).close()
        except FetchError as error:
            self.assertTrue(error.message)

    # --- ours

    def test_a_full_disk_is_not_the_fault_of_the_url(self) -> None:
        full = OSError(28, "No space left on device")
        with (
            mock.patch.object(tempfile.SpooledTemporaryFile, "write", side_effect=full),
            self.assertLogs("safe_http", "ERROR"),
        ):
            self.assert_fails(answer(JPEG), permanent=False)

    def test_logs_and_errors_name_the_host_and_nothing_that_may_be_secret(self) -> None:
        self.server.replies |= {
            "/secret/a?token=secret": answer(JPEG),
            "/secret/b?token=secret": redirect("http://10.0.0.1/secret?token=secret"),
            "/secret/c?token=secret": raw(b"secret"),
        }
        urls = [self.server.url(f"/secret/{each}?token=secret#secret") for each in "abcd"]
        urls += [
            "http://user:secret@photos.example.org/",
            "secret://x",
            "http://secret\n/",
            "secret",
        ]
        with self.assertLogs("safe_http", "DEBUG") as logs:
            outcomes = self.client.fetch_many(urls)
        logged = "\n".join(logs.output) + "".join(map(repr, outcomes))
        assert isinstance(outcomes[0], Download)
        outcomes[0].close()
        self.assertNotIn("secret", logged)
        self.assertEqual(len(logs.records), len(urls))
        self.assertIn("host=127.0.0.1 jpeg, ", logged)

    def test_an_error_survives_the_way_between_processes(self) -> None:
        error = pickle.loads(pickle.dumps(FetchError("No.", permanent=True)))
        self.assertEqual((str(error), error.message, error.permanent), ("No.", "No.", True))

    def test_a_download_cannot_be_changed(self) -> None:
        with self.fetch(answer(JPEG)) as image, self.assertRaises(dataclasses.FrozenInstanceError):
            image.size = 0  # type: ignore[misc]
