"""The pages of accounts in a real browser: links, passwords, second factors, OpenID Connect."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import Any, ClassVar, Final

import oidc_provider_mock
from playwright.sync_api import Page, expect

from tests.support.browser import DARK, PHONE, BrowserCase
from tests.support.page_actions import log_out

_PASSWORD: Final = "correct horse battery"
_NEW: Final = "staple of a horse"
_MAKE: Final = (
    "from django.contrib.auth.models import User;"
    f"User.objects.create_superuser('zoe', password='{_PASSWORD}');"
    f"[User.objects.create_user(name, f'{{name}}@faces.example', '{_PASSWORD}')"
    " for name in ('alice', 'bob')]"
)

_AUTHENTICATOR: Final = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def totp(secret: str) -> str:
    """The code of this half minute (RFC 6238: HMAC-SHA-1, six digits)."""
    counter = struct.pack(">Q", int(time.time() // 30))
    digest = hmac.digest(base64.b32decode(secret), counter, hashlib.sha1)
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 10**6:06}"


class AccountsCase(BrowserCase):
    settings: ClassVar[dict[str, str]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        limits = {"FACES_LOGIN_RATE": "100/minute"}
        cls.options = {"nginx": True, "workers": 1, "settings": {**limits, **cls.settings}}
        super().setUpClass()
        made = cls.stack.manage("shell", "-c", _MAKE)
        assert made.returncode == 0, made.stderr

    def log_in(self, page: Page, name: str, password: str = _PASSWORD) -> None:
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()

    def opened(self, path: str, name: str, **options: Any) -> Page:
        """A page that only `name` may open, reached through the login."""
        page = self.open(path, **options)
        self.log_in(page, name)
        return page

    def look_at(self, page: Page, name: str) -> None:
        self.assert_accessible(page)
        self.assert_fits(page)
        self.screenshot(page, f"accounts-{name}")

    def add_authenticator(self, page: Page) -> None:
        """Let the browser have a key of its own, which says yes by itself."""
        session = page.context.new_cdp_session(page)
        session.send("WebAuthn.enable")
        session.send("WebAuthn.addVirtualAuthenticator", {"options": _AUTHENTICATOR})

    def set_up_totp(self, page: Page) -> str:
        """From the page of second factors; returns the secret."""
        page.get_by_role("link", name="Activate").click()
        page.get_by_label("Password").fill(_PASSWORD)
        self.look_at(page, "reauthenticate")
        page.get_by_role("button", name="Confirm").click()
        secret = page.get_by_label("Authenticator secret").input_value()
        self.look_at(page, "totp")
        page.get_by_label("Code").fill(totp(secret))
        page.get_by_role("button", name="Activate").click()
        # The codes are shown once the factor is active.
        expect(page.get_by_text("Recovery Codes").first).to_be_visible()
        return secret


class AccountsPagesTests(AccountsCase):
    def test_staff_invites_and_the_link_lets_in_once(self) -> None:
        zoe = self.opened("/accounts/invite/", "zoe")
        new = zoe.locator("form", has=zoe.get_by_role("heading", name="Invite a new member"))
        new.get_by_label("Username").fill("carol")
        new.get_by_role("button", name="Invite").click()
        link = zoe.get_by_label("Link for carol").input_value()
        self.look_at(zoe, "invite")
        self.assertTrue(link.startswith(self.stack.url), link)
        carol = self.open(link, **PHONE)
        carol.get_by_label("New Password", exact=True).fill(_NEW)
        carol.get_by_label("New Password (again)").fill(_NEW)
        self.look_at(carol, "set-password-phone")
        carol.get_by_role("button", name="Set the password").click()
        expect(carol.get_by_role("heading", name="Photos of me")).to_be_visible()
        again = self.open(link)
        expect(again.get_by_role("heading", name="This link has ended")).to_be_visible()
        self.look_at(again, "link-ended")

    def test_a_member_changes_the_password(self) -> None:
        page = self.opened("/accounts/", "bob", **DARK)
        expect(page.get_by_role("heading", name="Account of bob")).to_be_visible()
        self.look_at(page, "overview-dark")
        page.get_by_role("link", name="Change the password").click()
        page.get_by_label("Current Password").fill(_PASSWORD)
        page.get_by_label("New Password", exact=True).fill(_NEW)
        page.get_by_label("New Password (again)").fill(_NEW)
        self.look_at(page, "password-change")
        page.get_by_role("button", name="Change Password").click()
        expect(page.get_by_text("Password successfully changed")).to_be_visible()
        log_out(page)
        self.log_in(page, "bob")
        expect(page.get_by_role("alert")).to_contain_text("not correct")
        self.look_at(page, "login-refused")
        self.log_in(page, "bob", _NEW)
        expect(page.get_by_role("heading", name="Photos of me")).to_be_visible()

    def test_who_forgot_the_password_is_led_to_staff(self) -> None:
        page = self.open("/members/login/")
        page.get_by_role("link", name="Forgot").click()
        expect(page.get_by_text("Ask staff for a link")).to_be_visible()
        self.look_at(page, "forgotten")

    def test_a_member_sets_up_codes_and_logs_in_by_them(self) -> None:
        page = self.opened("/accounts/second-factor/", "alice")
        secret = self.set_up_totp(page)
        page.goto("/accounts/second-factor/")
        self.look_at(page, "second-factor")
        log_out(page)
        other = self.opened("/members/photos/", "alice")
        other.get_by_label("Code").fill(totp(secret))
        self.look_at(other, "code")
        other.get_by_role("button", name="Sign In").click()
        other.wait_for_url("**/members/photos/")


class StaffSecondFactorTests(AccountsCase):
    settings: ClassVar[dict[str, str]] = {"FACES_STAFF_SECOND_FACTOR": "true"}

    def test_staff_sets_it_up_before_the_admin_opens(self) -> None:
        page = self.opened("/admin/", "zoe")
        page.wait_for_url("**/accounts/second-factor")
        self.set_up_totp(page)
        page.goto("/admin/")
        expect(page.get_by_role("heading", name="Administration")).to_be_visible()

    def test_a_passkey_is_a_second_factor(self) -> None:
        # A page of localhost is one of the secure contexts that passkeys need.
        self.stack.manage(
            "shell",
            "-c",
            "from django.contrib.auth.models import User;"
            f"User.objects.create_superuser('olga', password='{_PASSWORD}')",
        )
        url = self.stack.url.replace("127.0.0.1", "localhost")
        self.allow(url)
        page = self.open(f"{url}/admin/")
        self.add_authenticator(page)
        self.log_in(page, "olga")
        page.wait_for_url("**/accounts/second-factor")
        page.get_by_role("link", name="Add").click()
        page.get_by_label("Password").fill(_PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        self.look_at(page, "passkey-add")
        page.get_by_label("Name").fill("Laptop")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("Recovery Codes").first).to_be_visible()
        log_out(page)
        page.goto(f"{url}/admin/")
        self.log_in(page, "olga")
        self.look_at(page, "passkey")
        page.get_by_role("button", name="Use a security key").click()
        expect(page.get_by_role("heading", name="Administration")).to_be_visible()


class OpenIdTests(AccountsCase):
    """With a real provider on this machine."""

    issuer: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        server = cls.enterClassContext(oidc_provider_mock.run_server_in_thread())
        cls.issuer = f"http://localhost:{server.server_port}"
        cls.settings = {
            "FACES_OIDC_ISSUER": cls.issuer,
            "FACES_OIDC_CLIENT_ID": "faces",
            "FACES_OIDC_CLIENT_SECRET": "secret",
            "FACES_OIDC_NAME": "Home",
        }
        super().setUpClass()

    def log_in_elsewhere(self, subject: str, email: str, *, verified: bool = True) -> Page:
        # The provider's own page asks for a stylesheet from elsewhere, which it does without.
        self.allow(self.issuer, "https://")
        page = self.open("/members/login/")
        page.context.route(
            re.compile("^https://"), lambda route: route.fulfill(content_type="text/css", body="")
        )
        claims = {"email": email, "email_verified": verified}
        page.request.put(f"{self.issuer}/users/{subject}", data=claims)
        self.look_at(page, "login-openid")
        page.get_by_role("link", name="Continue with Home").click()
        page.locator("input[name=sub]").fill(subject)
        page.get_by_role("button", name=re.compile("Authorize|Login|Log in")).first.click()
        return page

    def test_a_user_is_found_by_the_verified_address(self) -> None:
        page = self.log_in_elsewhere("subject-of-alice", "alice@faces.example")
        expect(page.get_by_role("heading", name="Photos of me")).to_be_visible()
        page.goto("/accounts/")
        expect(page.get_by_role("heading", name="Account of alice")).to_be_visible()

    def test_others_get_no_account(self) -> None:
        for subject, email, verified in (
            ("stranger", "mallory@evil.example", True),
            ("liar", "bob@faces.example", False),
        ):
            with self.subTest(subject):
                page = self.log_in_elsewhere(subject, email, verified=verified)
                expect(page.get_by_role("heading", name="There is no account")).to_be_visible()
                page.goto("/accounts/")
                expect(page.get_by_role("heading", name="Log in")).to_be_visible()
