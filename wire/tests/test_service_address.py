"""Where clients reach the service, by three settings."""

import unittest

from wire import service_address
from wire.settings import Reader, SettingError


def address(url: str = "", path: str = "", port: str = "8282") -> service_address.ServiceAddress:
    environ = {"SERVICE_URL": url, "FACES_BASE_PATH": path, "FACES_PORT": port}
    return service_address.read(Reader(environ))


class ServiceAddressTests(unittest.TestCase):
    def test_without_a_url_links_follow_the_request_and_begin_here_elsewhere(self) -> None:
        found = address(port="9000")
        self.assertEqual((found.url, found.base_path), ("http://localhost:9000", ""))
        self.assertTrue(found.follows_request)
        self.assertEqual(address(path="/below").url, "http://localhost:8282/below")

    def test_the_path_may_be_in_either_setting_or_in_both(self) -> None:
        for url, path in (
            ("https://home.example/faces-app/", ""),
            ("https://home.example", "faces-app/"),
            ("https://home.example/faces-app", "/faces-app"),
        ):
            found = address(url, path)
            self.assertEqual(found.url, "https://home.example/faces-app")
            self.assertEqual(found.base_path, "/faces-app")
            self.assertFalse(found.follows_request)

    def test_a_slash_is_no_path(self) -> None:
        self.assertEqual(address("https://a.example/", "/").base_path, "")

    def test_origin_and_host(self) -> None:
        found = address("HTTPS://Home.Example:443/x")
        self.assertEqual((found.origin, found.host), ("https://home.example", "home.example"))
        self.assertEqual(address("http://[::1]:8282").host, "[::1]")

    def test_what_no_proxy_could_serve_is_refused_by_name(self) -> None:
        for url, path, name in (
            ("https://a.example/x", "/y", "FACES_BASE_PATH"),
            ("", "/a b", "FACES_BASE_PATH"),
            ("", "/a/../b", "FACES_BASE_PATH"),
            ("", "/a//b", "FACES_BASE_PATH"),
            ("", '/a"b', "FACES_BASE_PATH"),
            ("https://a.example/x?y", "", "SERVICE_URL"),
            ("https://a.example/%20", "", "SERVICE_URL"),
            ("https://ä b.example", "", "SERVICE_URL"),
            ("ftp://a.example", "", "SERVICE_URL"),
        ):
            with self.subTest(url=url, path=path), self.assertRaises(SettingError) as caught:
                address(url, path)
            self.assertIn(name, str(caught.exception))
