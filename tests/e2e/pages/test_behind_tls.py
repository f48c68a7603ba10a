"""Accounts in production, behind a proxy that ends TLS: passkeys and OpenID Connect over https."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import oidc_provider_mock
from playwright.sync_api import Page, Request, expect

from safe_http.tests.web import certificate
from tests.e2e.pages.test_accounts_pages import _PASSWORD, AccountsCase
from tests.support.front_proxy import FrontProxy
from tests.support.stack import free_ports

# Browsers look such a name up as this machine, and treat it as any other.
_HOST: Final = "faces.localhost"
_RP_ID: Final = """() => {
    const create = navigator.credentials.create.bind(navigator.credentials);
    navigator.credentials.create = (options) => {
        document.documentElement.dataset.rp = options.publicKey.rp.id;
        return create(options);
    };
}"""


def _public_key_hash(pem: Path) -> str:
    """Of the certificate's key (SHA-256 of its SubjectPublicKeyInfo), as Chromium takes it."""
    command = ["openssl", "x509", "-in", str(pem), "-pubkey", "-noout"]
    made = subprocess.run(command, check=True, capture_output=True, timeout=20)
    der = base64.b64decode(b"".join(made.stdout.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class BehindTlsTests(AccountsCase):
    issuer: ClassVar[str]
    url: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        pem = certificate(folder, _HOST)
        # As if an authority that the browser trusts had signed it: passkeys need that.
        cls.flags = (f"--ignore-certificate-errors-spki-list={_public_key_hash(pem)}",)
        provider = cls.enterClassContext(oidc_provider_mock.run_server_in_thread())
        cls.issuer = f"http://localhost:{provider.server_port}"
        (port,) = free_ports(1)
        cls.url = f"https://{_HOST}:{port}"
        cls.settings = {
            "ENVIRONMENT": "production",
            "DJANGO_SECRET_KEY": "a key of this test, longer than the shortest",
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            "SERVICE_URL": cls.url,
            "FACES_TRUSTED_PROXIES": "127.0.0.1",
            "FACES_REQUIRE_API_KEY": "true",
            "FACES_STAFF_SECOND_FACTOR": "true",
            "FACES_OIDC_ISSUER": cls.issuer,
            "FACES_OIDC_CLIENT_ID": "faces",
            "FACES_OIDC_CLIENT_SECRET": "secret",
            "FACES_OIDC_NAME": "Home",
        }
        super().setUpClass()
        targets = {"tls": ("/", cls.stack.url)}
        cls.enterClassContext(FrontProxy(targets, host=_HOST, certificate=pem, ports=[port]))

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", f"{self.issuer}/", "https://", "data:")):
            self._strangers.append(request.url)

    def page(self, path: str) -> Page:
        return self.open(f"{self.url}{path}")

    def test_a_passkey_belongs_to_the_host_of_the_service(self) -> None:
        page = self.page("/admin/")
        self.add_authenticator(page)
        self.log_in(page, "zoe")
        page.wait_for_url("**/accounts/second-factor")
        page.get_by_role("link", name="Add").click()
        page.get_by_label("Password").fill(_PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_label("Name").fill("Laptop")
        page.evaluate(_RP_ID)
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("Recovery Codes").first).to_be_visible()
        page.get_by_role("button", name="Account of zoe").click()
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{self.url}/admin/")
        self.log_in(page, "zoe")
        page.get_by_role("button", name="Use a security key").click()
        expect(page.get_by_role("heading", name="Administration")).to_be_visible()
        cookies = page.context.cookies(self.url)
        ours = [each for each in cookies if each["name"].startswith("faces_")]
        self.assertTrue(ours and all(each["secure"] for each in ours), cookies)

    def test_the_provider_sends_users_back_to_the_https_address(self) -> None:
        page = self.page("/members/login/")
        page.context.route(
            re.compile(f"^https://(?!{_HOST})"),
            lambda route: route.fulfill(content_type="text/css", body=""),
        )
        claims = {"email": "alice@faces.example", "email_verified": True}
        page.request.put(f"{self.issuer}/users/subject-of-alice", data=claims)
        page.get_by_role("link", name="Continue with Home").click()
        page.wait_for_url(f"{self.issuer}/**")
        asked = parse_qs(urlsplit(page.url).query)
        # Providers compare it letter by letter with what was registered.
        (registered,) = re.findall("redirect URI `([^`]+)`", Path("docs/accounts.md").read_text())
        callback = registered.replace("https://faces.example", self.url)
        self.assertEqual(asked["redirect_uri"], [callback])
        page.locator("input[name=sub]").fill("subject-of-alice")
        page.get_by_role("button", name=re.compile("Authorize|Login|Log in")).first.click()
        expect(page.get_by_role("heading", name="Photos of me")).to_be_visible()
        self.assertTrue(page.url.startswith(f"{self.url}/members/"), page.url)
