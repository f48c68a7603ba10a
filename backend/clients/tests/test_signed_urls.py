"""Signed addresses: what opens them, and that they stay the same over versions and pages."""

from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from django.core import signing
from django.test import SimpleTestCase, override_settings

from backend.clients.auth import signed_urls

_PATH = "/photos/7246f927-0000-0000-0000-000000000000/300.jpg"


class LinksTests(SimpleTestCase):
    def query(self, path: str = _PATH) -> dict[str, str]:
        parts = urlsplit(signed_urls.signed(path))
        self.assertEqual(parts.path, path)
        return {name: values[0] for name, values in parse_qs(parts.query).items()}

    def test_the_signature_is_djangos_own_so_that_links_given_out_before_stay_good(self) -> None:
        query = self.query()
        signer = signing.Signer(salt="backend.clients.links")
        wanted = signer.signature(f"{_PATH}\n{query['expires']}")
        self.assertEqual(query["signature"], wanted)

    def test_a_link_opens_its_own_path_until_its_own_time_and_nothing_else(self) -> None:
        query = self.query()
        self.assertTrue(signed_urls.verify(_PATH, query))
        later = str(int(query["expires"]) + 3600)
        self.assertFalse(signed_urls.verify(_PATH.replace("300", "full"), query))
        self.assertFalse(signed_urls.verify(_PATH, {**query, "expires": later}))
        self.assertFalse(signed_urls.verify(_PATH, {"expires": query["expires"]}))
        with patch("backend.clients.auth.signed_urls.time.time", return_value=float(later)):
            self.assertFalse(signed_urls.verify(_PATH, query))

    def test_a_new_secret_invalidates_all_links(self) -> None:
        query = self.query()
        with override_settings(SECRET_KEY="another secret, as long as it has to be for that"):
            self.assertFalse(signed_urls.verify(_PATH, query))
            self.assertTrue(signed_urls.verify(_PATH, self.query()))
        self.assertTrue(signed_urls.verify(_PATH, query))
