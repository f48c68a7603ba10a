"""nginx behind other proxies: whose addresses, schemes and hosts are believed."""

import http.client
import json
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Final

from tools import config, config_files
from tools.shell import ROOT
from tools.tests.launched import free_port, wait_until
from tools.tests.test_config_files import a_stack
from tools.tests.test_nginx import Echo

_TRUSTED: Final = "127.0.0.8"
_STRANGER: Final = "127.0.0.9"
_CLIENT: Final = "203.0.113.7"

# Another nginx in front, as its users write it. It comes from the trusted address.
_FRONT: Final = """
daemon off; worker_processes 1; error_log stderr crit; pid {folder}/front.pid; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{front};{front_ipv6}
        location / {{
            proxy_pass http://127.0.0.1:{inner};
            proxy_bind 127.0.0.8;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto https;
        }}
    }}
}}
"""


class ProxyTests(unittest.TestCase):
    """nginx as the launcher configures it, with the proxies of `trusted`."""

    bind: ClassVar[str] = "127.0.0.1"
    trusted: ClassVar[str] = f"{_TRUSTED}, 198.51.100.0/24, ::1, 2001:db8:1::/48"
    port: ClassVar[int]
    front: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        backend = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        cls.addClassCleanup(backend.server_close)
        cls.addClassCleanup(backend.shutdown)
        threading.Thread(target=backend.serve_forever, daemon=True).start()
        cls.port, cls.front = free_port(), free_port()
        service = a_stack(
            folder,
            FACES_BIND=cls.bind,
            FACES_PORT=str(cls.port),
            FACES_BACKEND_BIND=f"127.0.0.1:{backend.server_port}",
            FACES_WS_BIND=f"127.0.0.1:{backend.server_port}",
            FACES_TRUSTED_PROXIES=cls.trusted,
        )
        config_files.write(service, connections=64)
        cls.run_nginx(service.run / "nginx.conf")
        front = folder / "front.conf"
        user = "user root;" if "user root;" in (service.run / "nginx.conf").read_text() else ""
        ipv6 = f" listen [::1]:{cls.front};" if config.has_ipv6() else ""
        front.write_text(
            _FRONT.format(
                folder=folder, user=user, front=cls.front, front_ipv6=ipv6, inner=cls.port
            )
        )
        cls.run_nginx(front)
        for port in (cls.port, cls.front):
            wait_until(lambda port=port: cls.answers(port), "nginx answers")  # type: ignore[misc]

    @classmethod
    def run_nginx(cls, path: Path) -> None:
        command = [config_files._program_file("nginx"), "-e", "stderr", "-c", str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)

    @classmethod
    def answers(cls, port: int) -> bool:
        try:
            cls.ask({}, port=port)
        except (OSError, ValueError):
            return False
        return True

    @classmethod
    def ask(
        cls,
        headers: Mapping[str, str],
        *,
        peer: str = "127.0.0.1",
        port: int = 0,
        path: str = "/",
        host: str = "127.0.0.1",
    ) -> dict[str, str]:
        """The headers that reach the servers behind nginx."""
        source = None if ":" in host else (peer, 0)
        connection = http.client.HTTPConnection(
            host, port or cls.port, timeout=20, source_address=source
        )
        try:
            connection.request("GET", path, headers=dict(headers))
            reached: dict[str, str] = json.loads(connection.getresponse().read())["headers"]
            return reached
        finally:
            connection.close()

    def assert_client(self, expected: str, chain: str, *, peer: str) -> None:
        for path in ("/image/", "/faces"):
            with self.subTest(chain=chain, peer=peer, path=path):
                reached = self.ask({"X-Forwarded-For": chain}, peer=peer, path=path)
                self.assertEqual(reached["x-real-ip"], expected)
                self.assertEqual(reached["x-forwarded-for"], expected)

    def test_the_nearest_address_that_is_no_trusted_proxy_is_the_client(self) -> None:
        for chain, client in {
            _CLIENT: _CLIENT,
            f"1.2.3.4, {_CLIENT}": _CLIENT,
            f"1.2.3.4, {_CLIENT}, 198.51.100.3": _CLIENT,
            f"{_CLIENT},{_TRUSTED},198.51.100.3, 2001:db8:1::5": _CLIENT,
            "2001:db8:2::1, 2001:db8:1::1": "2001:db8:2::1",
            "198.51.100.3": "198.51.100.3",
            "nonsense": _TRUSTED,
            "": _TRUSTED,
        }.items():
            self.assert_client(client, chain, peer=_TRUSTED)

    def test_of_anybody_else_no_header_is_believed(self) -> None:
        headers = {
            "X-Forwarded-For": _CLIENT,
            "X-Real-IP": _CLIENT,
            "Forwarded": f"for={_CLIENT}",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "evil.example",
            "Host": "faces.example",
        }
        reached = self.ask(headers, peer=_STRANGER)
        for name, value in {
            "x-real-ip": _STRANGER,
            "x-forwarded-for": _STRANGER,
            "x-forwarded-proto": "http",
            "host": "faces.example",
        }.items():
            self.assertEqual(reached[name], value, name)
        self.assertNotIn("forwarded", reached)
        self.assertNotIn("x-forwarded-host", reached)

    def test_a_trusted_proxy_names_scheme_and_host(self) -> None:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "faces.example, inner"}
        reached = self.ask(headers, peer=_TRUSTED)
        self.assertEqual(reached["x-forwarded-proto"], "https")
        self.assertEqual(reached["host"], "faces.example")
        reached = self.ask({"X-Forwarded-Proto": "gopher", "Host": "other"}, peer=_TRUSTED)
        self.assertEqual((reached["x-forwarded-proto"], reached["host"]), ("http", "other"))

    def test_behind_a_second_nginx_each_client_has_its_own_address(self) -> None:
        for source, spoofed in ((_STRANGER, {}), ("127.0.0.1", {"X-Forwarded-For": "1.2.3.4"})):
            reached = self.ask(spoofed, peer=source, port=self.front)
            self.assertEqual(reached["x-real-ip"], source)
            self.assertEqual(reached["x-forwarded-proto"], "https")

    @unittest.skipUnless(config.has_ipv6(), "no IPv6 here")
    def test_behind_a_second_nginx_a_peer_of_ip_version_6_has_its_own_address(self) -> None:
        reached = self.ask({"X-Forwarded-For": "2001:db8:9::9"}, port=self.front, host="::1")
        # ::1 is trusted here, so the chain goes on to what it claims.
        self.assertEqual(reached["x-real-ip"], "2001:db8:9::9")


class ThisMachineTests(ProxyTests):
    """`127.0.0.1` is this machine, whose name `localhost` may be ::1."""

    trusted = " 127.0.0.1 ,[2001:db8:1::]/48"

    def test_the_nearest_address_that_is_no_trusted_proxy_is_the_client(self) -> None:
        self.assert_client(_CLIENT, f"1.2.3.4, {_CLIENT}", peer="127.0.0.1")
        self.assert_client("2001:db8:2::1", "2001:db8:2::1, 2001:db8:1::7, ::1", peer="127.0.0.1")
        self.assert_client(_TRUSTED, _CLIENT, peer=_TRUSTED)

    def test_a_trusted_proxy_names_scheme_and_host(self) -> None:
        headers = {"X-Forwarded-Proto": "https"}
        self.assertEqual(self.ask(headers, peer="127.0.0.1")["x-forwarded-proto"], "https")

    def test_behind_a_second_nginx_each_client_has_its_own_address(self) -> None:
        self.assertEqual(self.ask({}, port=self.front)["x-real-ip"], _TRUSTED)

    @unittest.skipUnless(config.has_ipv6(), "no IPv6 here")
    def test_behind_a_second_nginx_a_peer_of_ip_version_6_has_its_own_address(self) -> None:
        reached = self.ask({"X-Forwarded-For": _CLIENT}, host="::1")
        self.assertEqual(reached["x-real-ip"], _CLIENT)


@unittest.skipUnless(config.has_ipv6(), "no IPv6 here")
class BothFamiliesTests(ThisMachineTests):
    """`FACES_BIND=::`, where IPv4 peers come as mapped addresses."""

    bind = "::"

    def assert_client(self, expected: str, chain: str, *, peer: str) -> None:
        # An IPv4 peer that is the client itself has its mapped address, which the others unmap.
        mapped = f"::ffff:{expected}" if expected == peer else expected
        super().assert_client(mapped, chain, peer=peer)

    def test_of_anybody_else_no_header_is_believed(self) -> None:
        reached = self.ask(
            {"X-Forwarded-For": _CLIENT, "X-Forwarded-Proto": "https"}, peer=_STRANGER
        )
        self.assertEqual(reached["x-real-ip"], f"::ffff:{_STRANGER}")
        self.assertEqual(reached["x-forwarded-proto"], "http")

    def test_behind_a_second_nginx_each_client_has_its_own_address(self) -> None:
        self.assertEqual(self.ask({}, port=self.front)["x-real-ip"], f"::ffff:{_TRUSTED}")


class NoProxyTests(ProxyTests):
    """`none`: every header of a client is a claim."""

    trusted = "none"

    def test_the_nearest_address_that_is_no_trusted_proxy_is_the_client(self) -> None:
        for chain in (_CLIENT, "1.2.3.4, 127.0.0.1"):
            self.assert_client(_TRUSTED, chain, peer=_TRUSTED)

    def test_a_trusted_proxy_names_scheme_and_host(self) -> None:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example", "Host": "a"}
        reached = self.ask(headers, peer=_TRUSTED)
        self.assertEqual((reached["x-forwarded-proto"], reached["host"]), ("http", "a"))

    def test_behind_a_second_nginx_each_client_has_its_own_address(self) -> None:
        self.assertEqual(self.ask({}, port=self.front)["x-real-ip"], _TRUSTED)

    @unittest.skipUnless(config.has_ipv6(), "no IPv6 here")
    def test_behind_a_second_nginx_a_peer_of_ip_version_6_has_its_own_address(self) -> None:
        self.assertEqual(self.ask({}, port=self.front, host="::1")["x-real-ip"], _TRUSTED)
