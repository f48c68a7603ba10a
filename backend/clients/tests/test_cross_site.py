"""Web pages of other sites: without a key they are not answered."""

from django.core.cache import cache
from django.test import SimpleTestCase, TestCase, override_settings

from backend.clients.tests import factories
from wire.origins import OriginPolicy, is_allowed_host, parse_origin


class CrossSiteTests(TestCase):
    def setUp(self) -> None:
        cache.clear()

    def status(self, method: str = "post", path: str = "/image/", **headers: str) -> int:
        answer = getattr(self.client, method)(path, headers=headers)
        if answer.status_code == 403:
            self.assertIn("FACES_ALLOWED_ORIGINS", answer.json()["detail"])
        return int(answer.status_code)

    def test_without_a_key_a_page_of_another_site_is_refused(self) -> None:
        for origin in (
            "https://evil.example",
            "http://testserver.evil.example",
            "http://testserver:3000",
            "null",
            "",
            "http://testserver, http://evil.example",
            "testserver",
        ):
            for method, path in (
                ("post", "/image/"),
                ("post", "/verify"),
                ("get", "/stats/"),
                ("delete", "/recognition/users/1"),
                ("put", "/recognition/users/1"),
            ):
                with self.subTest(origin=origin, path=path):
                    self.assertEqual(self.status(method, path, origin=origin), 403)

    def test_a_request_without_an_origin_says_by_sec_fetch_site_where_it_comes_from(self) -> None:
        for site in ("cross-site", "same-site"):
            sent = {"sec-fetch-site": site}
            self.assertEqual(self.status("get", "/stats/", **sent), 403)
            followed = {**sent, "sec-fetch-mode": "navigate"}
            self.assertEqual(self.status("get", "/stats/", **followed), 200)
            self.assertEqual(self.status("post", "/image/", **followed), 403)
        for site in ("same-origin", "none"):
            self.assertEqual(self.status("get", "/stats/", **{"sec-fetch-site": site}), 200)

    def test_programs_and_the_services_own_pages_are_answered(self) -> None:
        self.assertEqual(self.status(), 400)
        for origin in ("http://testserver", "https://TESTSERVER", "http://testserver:80"):
            self.assertEqual(self.status(origin=origin), 400, origin)
        # A proxy that ends TLS may say nothing of it; a sandboxed page of ours is `null`.
        self.assertEqual(self.status(origin="null", **{"sec-fetch-site": "same-origin"}), 400)

    @override_settings(FACES_ALLOWED_ORIGINS=["https://app.example"])
    def test_a_listed_origin_is_answered(self) -> None:
        self.assertEqual(self.status(origin="https://app.example"), 400)
        self.assertEqual(self.status(origin="http://app.example"), 403)

    @override_settings(SERVICE_URL="https://faces.example:8443/below")
    def test_the_services_own_address_is_its_own_behind_any_proxy(self) -> None:
        self.assertEqual(self.status(origin="https://faces.example:8443"), 400)

    def test_with_a_key_the_page_is_the_client(self) -> None:
        headers = factories.headers("alice")
        sent = self.client.post("/image/", headers={**headers, "origin": "https://evil.example"})
        self.assertEqual(sent.status_code, 400)

    def test_other_pages_may_show_images_but_not_read_them(self) -> None:
        path = "/image/7246f927-94a4-4225-9a56-b52bab894ad0/original"
        shown = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}
        self.assertEqual(self.status("get", path, **shown), 404)
        self.assertEqual(self.status("get", path, **shown, origin="https://evil.example"), 403)
        self.assertEqual(self.status("get", "/stats/", **shown), 403)

    @override_settings(FACES_REQUEST_RATE=(2, 3600))
    def test_the_refused_are_counted(self) -> None:
        codes = [self.status("get", "/stats/", origin="https://evil.example") for _ in range(3)]
        self.assertEqual(codes, [403, 403, 429])


class RefusalTests(TestCase):
    """The setting behind a refusal is in the log, and in development in the answer."""

    def test_a_foreign_host_is_refused_with_the_setting(self) -> None:
        for environment, words in (("development", "DJANGO_ALLOWED_HOSTS"), ("production", "")):
            with (
                self.settings(ENVIRONMENT=environment, ALLOWED_HOSTS=["faces.example"]),
                self.assertLogs("backend", "WARNING") as logged,
            ):
                answer = self.client.get("/stats/", headers={"host": "192.168.1.5:8282"})
            self.assertEqual(answer.status_code, 400)
            self.assertIn("'192.168.1.5:8282' is not in DJANGO_ALLOWED_HOSTS", logged.output[0])
            detail = answer.json()["detail"]
            self.assertTrue(detail.startswith("Bad request."))
            self.assertEqual("DJANGO_ALLOWED_HOSTS" in detail, bool(words))

    @override_settings(SESSION_COOKIE_SECURE=True, SERVICE_URL="https://faces.example")
    def test_a_form_that_lost_its_cookie_is_refused_with_the_setting(self) -> None:
        browser = self.client_class(enforce_csrf_checks=True)
        with self.assertLogs("backend", "WARNING") as logged:
            answer = browser.post("/admin/login/", {"username": "a", "password": "b"})
        self.assertEqual(answer.status_code, 403)
        self.assertIn("SERVICE_URL is https://faces.example", logged.output[0])
        self.assertContains(answer, "over http", status_code=403)


class OriginTests(SimpleTestCase):
    def test_hosts_are_compared_as_django_does(self) -> None:
        allowed = ["localhost", "[::1]", ".home.example", "192.168.1.5"]
        for host in ("localhost", "LOCALHOST:8282", "[::1]:80", "a.home.example", "home.example."):
            self.assertTrue(is_allowed_host(host, allowed), host)
        for host in ("", "evil.example", "xhome.example", "localhost.", "localhost,evil", "a b"):
            self.assertEqual(is_allowed_host(host, allowed), host == "localhost.", host)
        self.assertTrue(is_allowed_host("any.example", ["*"]))

    def test_an_origin_is_read_as_browsers_send_it(self) -> None:
        for text, origin in {
            "https://App.Example:443/": "https://app.example",
            "http://[::1]:8080": "http://[::1]:8080",
            "chrome-extension://abcdef": "chrome-extension://abcdef",
        }.items():
            self.assertEqual(parse_origin(text), origin)
        for text in ("app.example", "https://a/b", "https://*.example", "null", "https://u@a"):
            with self.assertRaises(ValueError):
                parse_origin(text)

    def test_any_is_any(self) -> None:
        self.assertTrue(OriginPolicy(frozenset(["*"])).permits("null", host="a"))
        self.assertFalse(OriginPolicy().permits("https://a", host="b"))
