"""Limits on clients: none can slow down the others."""

import asyncio
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from wsserver.main import NGINX_NETWORKS
from wsserver.tests.base import (
    PATIENCE_S,
    UPGRADE,
    ServerTestCase,
    client_that_never_reads,
    eventually,
    http,
    listening,
    received_ids,
)


class SlowClients(ServerTestCase):
    async def test_a_client_that_never_reads_is_disconnected_and_others_miss_nothing(
        self,
    ) -> None:
        limits = {"max_connections": 2, "send_buffer_bytes": 8192}
        async with self.serving(**limits) as address, listening(address) as alice:
            unread = await client_that_never_reads(address)
            self.addCleanup(unread.close)
            for _ in range(10):
                sent = [self.publish(padding=2000) for _ in range(10)]
                self.assertEqual(await received_ids(alice, 10), sent)
            await self.assert_place_is_free(address)
            await self.assert_silent(alice)

    async def test_a_slow_consumer_is_closed_with_1013(self) -> None:
        async with self.serving(send_buffer_bytes=8192) as address:
            slow = await client_that_never_reads(address)
            self.addCleanup(slow.close)
            async with listening(address) as alice:
                sent = [self.publish(padding=2000) for _ in range(100)]
                await received_ids(alice, len(sent))
            last = await _read_to_the_end(slow)
            # A close frame: code 1013, reason.
            self.assertTrue(last.endswith(b"\x88\x0a" + (1013).to_bytes(2, "big") + b"too slow"))

    async def test_a_client_that_answers_no_pings_is_disconnected(self) -> None:
        limits = {"max_connections": 1, "ping_interval_s": 0.1, "ping_timeout_s": 0.1}
        async with self.serving(**limits) as address:
            silent = await client_that_never_reads(address)
            self.addCleanup(silent.close)
            await self.assert_place_is_free(address)

    async def test_a_client_that_answers_pings_stays_connected(self) -> None:
        limits = {"ping_interval_s": 0.05, "ping_timeout_s": 5}
        async with self.serving(**limits) as address, listening_to_pings(address) as alice:
            await eventually(lambda: alice.pings >= 3)
            await self.assert_silent(alice)

    async def test_an_unfinished_handshake_times_out(self) -> None:
        async with self.serving(handshake_timeout_s=0.2) as address:
            host, _, port = address.rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            self.addCleanup(writer.close)
            writer.write(b"GET /faces HTTP/1.1\r\nHost: loc")
            async with asyncio.timeout(PATIENCE_S):
                self.assertEqual(await reader.read(), b"")


class ReceivedMessages(ServerTestCase):
    async def test_small_messages_are_ignored(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            await alice.send("hello")
            await alice.send(b"\x00" * 1024)
            await alice.send(["in ", "parts"])
            await self.assert_silent(alice)

    async def test_a_large_message_ends_the_connection(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            await alice.send("x" * 1025)
            async with asyncio.timeout(PATIENCE_S):
                await alice.wait_closed()
            self.assertEqual(alice.close_code, 1009)

    async def test_too_many_messages_end_the_connection(self) -> None:
        async with self.serving(max_messages_per_minute=10) as address, listening(address) as alice:
            for _ in range(11):
                await alice.send("hello")
            await self.assert_closed(alice, 1008, "too many messages")

    async def test_too_many_pings_end_the_connection(self) -> None:
        async with self.serving(max_messages_per_minute=10) as address, listening(address) as alice:
            for _ in range(11):
                await alice.ping()
            await self.assert_closed(alice, 1008, "too many messages")

    async def test_the_servers_own_pings_do_not_count_against_a_client(self) -> None:
        limits = {"ping_interval_s": 0.02, "max_messages_per_minute": 5}
        async with self.serving(**limits) as address, listening_to_pings(address) as alice:
            await eventually(lambda: alice.pings >= 10)
            await self.assert_silent(alice)

    async def test_nothing_is_compressed(self) -> None:
        async with self.serving() as address, listening(address) as alice:
            assert alice.response is not None
            self.assertNotIn("Sec-WebSocket-Extensions", alice.response.headers)


class Connections(ServerTestCase):
    async def test_above_the_limit_clients_get_503_with_retry_after(self) -> None:
        async with self.serving(max_connections=2) as address:
            async with listening(address), listening(address):
                status, headers, body = await http(address, "/faces", UPGRADE)
                self.assertEqual(status, 503)
                self.assertEqual(headers["retry-after"], "10")
                self.assertEqual(body, '{"detail": "Too many clients are connected."}')
                self.assertEqual((await http(address, "/healthcheck"))[0], 200)
            await self.assert_place_is_free(address)

    async def test_sockets_without_a_request_are_limited_too(self) -> None:
        async with self.serving(max_connections=1) as address:
            host, _, port = address.rpartition(":")
            streams = [await asyncio.open_connection(host, int(port)) for _ in range(300)]
            for _reader, writer in streams:
                self.addCleanup(writer.close)
            cut_off = [asyncio.create_task(_end(reader)) for reader, _writer in streams]
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait(cut_off, return_when=asyncio.FIRST_COMPLETED)
            self.assertLess(sum(task.done() for task in cut_off), 100)
            for task in cut_off:
                task.cancel()

    async def test_a_failed_handshake_does_not_count_as_a_connection(self) -> None:
        async with self.serving(max_connections=1) as address:
            for _ in range(3):
                bad = {**UPGRADE, "Sec-WebSocket-Key": "short"}
                self.assertEqual((await http(address, "/faces", bad))[0], 400)
            await self.assert_place_is_free(address)

    async def test_connections_from_one_address_are_limited(self) -> None:
        alice, bob = _from("192.0.2.1"), _from("192.0.2.2")
        async with (
            self.serving(max_connections_per_address=1) as address,
            listening(address, additional_headers=alice),
        ):
            with self.assertRaises(InvalidStatus) as refused:
                await listening(address, additional_headers=alice)
            self.assertEqual(refused.exception.response.status_code, 503)
            self.assertIn("Retry-After", refused.exception.response.headers)
            async with listening(address, additional_headers=bob):
                pass
            async with listening(address), listening(address):
                "A proxy that names no client has no such limit."

    async def test_a_client_at_the_address_of_a_proxy_is_limited_too(self) -> None:
        local = _from("127.0.0.1")
        async with (
            self.serving(max_connections_per_address=1) as address,
            listening(address, additional_headers=local),
        ):
            with self.assertRaises(InvalidStatus):
                await listening(address, additional_headers=local)

    async def test_on_a_socket_of_the_file_system_nginx_names_the_client(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "ws.sock")
        # Left by a server that was killed.
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        proxies = (*NGINX_NETWORKS, ip_network("192.0.2.0/24"))
        limits = {"max_connections_per_address": 1, "trusted_proxies": proxies}

        def from_(client: str) -> Any:
            headers = {"X-Forwarded-For": client}
            uri = "ws://localhost/faces"
            return unix_connect(str(path), uri=uri, additional_headers=headers)

        async with self.serving(path=path, **limits) as address:
            self.assertEqual(address, f"unix:{path}")
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            async with from_("198.51.100.1"), from_("198.51.100.2, 192.0.2.1") as alice:
                with self.assertRaises(InvalidStatus) as refused:
                    await from_("198.51.100.2")
                self.assertEqual(refused.exception.response.status_code, 503)
                await self.assert_silent(alice)

    async def test_x_forwarded_for_of_an_untrusted_peer_is_ignored(self) -> None:
        limits = {"max_connections_per_address": 1, "trusted_proxies": ()}
        async with self.serving(**limits) as address, listening(address):
            with self.assertRaises(InvalidStatus):
                await listening(address, additional_headers=_from("192.0.2.1"))


class PingCounter(ClientConnection):
    """A client that counts the pings it receives."""

    pings = 0

    def process_event(self, event: Event) -> None:
        self.pings += isinstance(event, Frame) and event.opcode is Opcode.PING
        super().process_event(event)


def listening_to_pings(address: str) -> Any:
    return listening(address, create_connection=PingCounter)


def _from(client: str) -> Mapping[str, str]:
    return {"X-Forwarded-For": client}


async def _end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        await reader.read()


async def _read_to_the_end(client: socket.socket) -> bytes:
    loop, last = asyncio.get_running_loop(), b""
    async with asyncio.timeout(PATIENCE_S):
        while chunk := await loop.sock_recv(client, 1 << 16):
            last = (last + chunk)[-100:]
    return last
