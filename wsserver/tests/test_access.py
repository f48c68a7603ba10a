"""Which hosts are answered, and which web pages may connect without a token."""

import asyncio
from collections.abc import Mapping

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from wire import feeds
from wire.origins import OriginPolicy
from wire.service_address import ServiceAddress
from wsserver.delivery.closing import REFUSED
from wsserver.request import credentials
from wsserver.tests.base import PATIENCE_S, UPGRADE, ServerTestCase, http, received, request
from wsserver.tests.test_tokens import ALICE, token


class Access(ServerTestCase):
    async def refused(self, address: str, headers: Mapping[str, str], status: int) -> str:
        found, _, body = await http(address, "/faces", {**UPGRADE, **headers})
        self.assertEqual(found, status)
        return body

    async def assert_opens(
        self, address: str, headers: Mapping[str, str], path: str = "/faces"
    ) -> None:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request(path, {**UPGRADE, **headers}))
        async with asyncio.timeout(PATIENCE_S):
            self.assertIn(b" 101 ", await reader.readline(), headers)
        writer.close()

    async def test_a_page_of_another_site_is_refused_without_a_token(self) -> None:
        async with self.serving(explains=True) as address:
            for origin in ("https://evil.example", "null", "http://localhost:1", "localhost"):
                body = await self.refused(address, {"Origin": origin}, 403)
                self.assertIn("FACES_ALLOWED_ORIGINS", body)

    async def test_programs_and_own_pages_and_listed_origins_connect(self) -> None:
        origins = OriginPolicy(frozenset(["https://app.example"]))
        async with self.serving(origins=origins) as address:
            own = {"Host": "faces.example:8282", "Origin": "http://faces.example:8282"}
            for headers in ({}, own, {"Origin": "https://app.example"}):
                await self.assert_opens(address, headers)

    async def test_a_token_counts_from_any_page(self) -> None:
        async with self.serving() as address:
            headers = {"Origin": "https://evil.example"}
            await self.assert_opens(address, headers, "/faces?token=x")

    async def test_a_key_in_a_header_is_refused_with_the_reason_where_nginx_did_not_take_it(
        self,
    ) -> None:
        async with self.serving() as address:
            for headers, reason in (
                ({"Authorization": "Bearer prefix.secret"}, credentials.KEY_NOT_TAKEN),
                ({"X-Api-Key": "prefix.secret"}, credentials.KEY_NOT_TAKEN),
                ({"Authorization": "Token abc"}, credentials.KEY_NOT_TAKEN),
                ({feeds.REFUSAL_HEADER: "x" * 200}, "x" * 123),
                ({feeds.TOKEN_HEADER: "forged"}, "the token is not valid"),
                ({"Authorization": "Bearer a.b.c"}, "the token is not valid"),
            ):
                with self.subTest(headers):
                    client = await connect(f"ws://{address}/faces", additional_headers=headers)
                    await self.assert_closed(client, REFUSED, reason)

    async def test_a_token_may_come_in_a_header(self) -> None:
        async with self.serving() as address:
            for headers in ({feeds.TOKEN_HEADER: token()}, {"Authorization": f"Bearer {token()}"}):
                async with connect(f"ws://{address}/faces", additional_headers=headers) as client:
                    id = self.publish(owner=ALICE)
                    self.assertEqual((await received(client))["submission_id"], id)

    async def test_a_login_at_a_proxy_is_no_key(self) -> None:
        async with self.serving() as address:
            await self.assert_opens(address, {"Authorization": "Basic eDp5"})

    async def test_any_subprotocol_is_taken(self) -> None:
        async with self.serving() as address:
            offered = [Subprotocol("json"), Subprotocol("graphql-ws")]
            async with connect(f"ws://{address}/faces", subprotocols=offered) as client:
                self.assertEqual(client.subprotocol, "json")
                id = self.publish()
                self.assertEqual((await received(client))["submission_id"], id)

    async def test_a_foreign_host_is_refused_with_the_setting(self) -> None:
        hosts = ["localhost", "127.0.0.1"]
        async with self.serving(allowed_hosts=hosts, explains=True) as address:
            for host in ("evil.example", "localhost.evil.example:80"):
                body = await self.refused(address, {"Host": host}, 400)
                self.assertIn("DJANGO_ALLOWED_HOSTS", body)
            await self.assert_opens(address, {"Host": "localhost:1"})

    async def test_links_of_events_have_the_address_that_each_client_used(self) -> None:
        url, stored = "http://localhost:8282/below", "http://localhost:8282"
        where = ServiceAddress(stored, "", follows_request=True)
        below = ServiceAddress(url, "/below", follows_request=True)
        fixed = ServiceAddress(stored, "", follows_request=False)
        lan = "192.168.1.5:8282"
        for service, host, expected in (
            (where, lan, f"https://{lan}"),
            (where, "[::1]:8282", "https://[::1]:8282"),
            (fixed, lan, stored),
            (below, lan, stored),  # written by a worker with other settings
        ):
            async with self.serving(address=service) as address:
                _, _, port = address.rpartition(":")
                async with connect(
                    f"ws://{host}/faces",
                    host="127.0.0.1",
                    port=int(port),
                    additional_headers={"X-Forwarded-Proto": "https"},
                ) as client:
                    id = self.publish()
                    frame = await received(client)
                    self.assertEqual(frame["image_url"], f"{expected}/static/{id}.jpg")

    async def test_outside_of_development_the_setting_is_in_the_log_alone(self) -> None:
        async with self.serving(allowed_hosts=["localhost"]) as address:
            with self.assertLogs("wsserver.handshake.access", "WARNING") as logged:
                body = await self.refused(address, {"Host": "evil.example"}, 400)
            self.assertEqual(body, '{"detail": "Bad request."}')
            self.assertIn("DJANGO_ALLOWED_HOSTS", logged.output[0])
