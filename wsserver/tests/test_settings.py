"""Settings are read from the environment, and invalid ones are named."""

import unittest
from pathlib import Path

from wire import environment
from wire.settings import SettingError
from wsserver.main import read_settings


class ReadSettings(unittest.TestCase):
    def setUp(self) -> None:
        self.environ = dict(environment.defaults())

    def test_the_defaults_are_valid(self) -> None:
        settings = read_settings(self.environ)
        self.assertEqual(settings.path, environment.ROOT / "run" / "wsserver.sock")
        self.assertGreaterEqual(settings.max_connections, 2000)

    def test_every_setting_is_required(self) -> None:
        ours = [name for name in self.environ if name.startswith("FACES_WS_")]
        self.assertGreaterEqual(len(ours), 3)
        for name in [
            *ours,
            "FACES_TRUSTED_PROXIES",
            "CACHE_BACKEND_URL",
            "FACES_EVENT_STREAM_MAXLEN",
        ]:
            environ = {key: value for key, value in self.environ.items() if key != name}
            with self.assertRaisesRegex(SettingError, f"{name} is not set"):
                read_settings(environ)

    def test_an_ipv6_address_is_written_in_brackets(self) -> None:
        settings = read_settings({**self.environ, "FACES_WS_BIND": "[::1]:0"})
        self.assertEqual((settings.host, settings.port, settings.path), ("::1", 0, None))

    def test_a_socket_is_named_by_its_path(self) -> None:
        settings = read_settings({**self.environ, "FACES_WS_BIND": "unix:/run/faces/ws.sock"})
        self.assertEqual(settings.path, Path("/run/faces/ws.sock"))
        settings = read_settings({**self.environ, "STORAGE_DIR": "/srv/faces"})
        self.assertEqual(settings.path, Path("/srv/faces/run/wsserver.sock"))

    def test_an_invalid_setting_is_named(self) -> None:
        for name, values in {
            "FACES_WS_BIND": (
                "unix:",
                "unix:ws.sock",
                "8284",
                ":8284",
                "host:",
                "host:x",
                "host:65536",
                "host:-1",
            ),
            "FACES_WS_MAX_CONNECTIONS": ("", "0", "-1", "many", "1.5", "9" * 5000, "٣"),
            "FACES_TRUSTED_PROXIES": ("nginx", "127.0.0.1/33", "127.0.0.1/8", "none, ::1"),
            "CACHE_BACKEND_URL": ("127.0.0.1:6379", "http://redis", "redis://host:port/0"),
        }.items():
            for value in values:
                with (
                    self.subTest(name=name, value=value[:20]),
                    self.assertRaises(SettingError) as e,
                ):
                    read_settings({**self.environ, name: value})
                self.assertIn(name, str(e.exception))

    def test_the_password_of_redis_is_not_shown(self) -> None:
        with self.assertRaises(SettingError) as raised:
            read_settings({**self.environ, "CACHE_BACKEND_URL": "http://:secret@host"})
        self.assertNotIn("secret", str(raised.exception))
