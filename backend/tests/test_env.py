"""Settings that make no sense are refused with their name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from django.core.exceptions import ImproperlyConfigured
from django.test import SimpleTestCase

from backend import env


def reading(value: str, read: Callable[[str], Any]) -> Any:
    with mock.patch.dict(os.environ, {"A_SETTING": value}):
        return read("A_SETTING")


class EnvTests(SimpleTestCase):
    def refuses(self, value: str, read: Callable[[str], Any]) -> None:
        with self.assertRaisesRegex(ImproperlyConfigured, "A_SETTING"):
            reading(value, read)

    def test_flags_are_true_or_false_and_nothing_else(self) -> None:
        self.assertEqual([reading(word, env.flag) for word in ("true", "ON", "1")], [True] * 3)
        self.assertEqual([reading(word, env.flag) for word in ("false", "No", "")], [False] * 3)
        self.refuses("maybe", env.flag)

    def test_numbers_are_whole_and_not_below_their_bound(self) -> None:
        self.assertEqual(reading("12", env.number), 12)
        for nonsense in ("", "1.5", "ten", "-1", "1e3"):
            with self.subTest(nonsense):
                self.refuses(nonsense, env.number)

    def test_a_number_may_have_an_upper_bound(self) -> None:
        def read(name: str) -> int:
            return env.number(name, at_most=1_000_000_000)

        self.assertEqual(reading("1000000000", read), 1_000_000_000)
        self.refuses("1000000001", read)

    def test_decimals_are_finite_and_positive(self) -> None:
        self.assertEqual(reading("0.5", env.real), 0.5)
        for nonsense in ("", "nan", "inf", "0", "-2"):
            with self.subTest(nonsense):
                self.refuses(nonsense, env.real)

    def test_words_are_separated_by_commas(self) -> None:
        self.assertEqual(reading(" a, b ,,c", env.words), ["a", "b", "c"])

        def read(name: str) -> list[str]:
            return env.words(name, choices=("cpu", "cuda"))

        self.assertEqual(reading("cuda,cpu", read), ["cuda", "cpu"])
        for nonsense in ("", "gpu", "cpu,gpu"):
            with self.subTest(nonsense):
                self.refuses(nonsense, read)

    def test_an_address_needs_a_scheme_and_a_host(self) -> None:
        def read(name: str) -> str:
            return env.url(name, schemes=("http", "https"))

        self.assertEqual(reading("http://localhost:8282/", read), "http://localhost:8282")
        for nonsense in ("", "localhost:8282", "ftp://host", "http://"):
            with self.subTest(nonsense):
                self.refuses(nonsense, read)

    def test_a_rate_is_so_many_in_a_period_or_nothing(self) -> None:
        self.assertEqual(reading("600/minute", env.rate), (600, 60))
        self.assertIsNone(reading("", env.rate))
        for nonsense in ("600", "0/minute", "many/day", "5/fortnight", "-1/day"):
            with self.subTest(nonsense):
                self.refuses(nonsense, env.rate)

    def test_an_empty_folder_means_the_default(self) -> None:
        def read(name: str) -> Path:
            return env.folder(name, default=Path("/srv"))

        self.assertEqual(reading("", read), Path("/srv"))
        self.assertEqual(reading("~/faces", read), Path.home() / "faces")

    def test_a_choice_is_one_of_the_choices(self) -> None:
        def read(name: str) -> str:
            return env.text(name, choices=("hog", "cnn"))

        self.assertEqual(reading("cnn", read), "cnn")
        self.refuses("haar", read)

    def test_an_empty_address_means_its_default(self) -> None:
        def read(name: str) -> str:
            return env.url(name, schemes=("redis",), default="redis://elsewhere/0")

        self.assertEqual(reading("", read), "redis://elsewhere/0")
        self.assertEqual(reading("redis://here/1", read), "redis://here/1")

    def test_a_database_is_a_postgresql_or_none_and_no_refusal_tells_its_password(self) -> None:
        for url in ("", "postgres://a:b@c:5432/d", "postgresql://a@[::1]/d?sslmode=require"):
            self.assertEqual(reading(url, env.postgresql), url)
        for nonsense in (
            "secret",
            "mysql://a:secret@b/c",
            "postgres://a:secret@b",
            "sqlite:///a",
            "postgres://a:secret@b:port/c",
        ):
            with (
                self.subTest(nonsense),
                self.assertRaisesRegex(ImproperlyConfigured, "^A_SETTING") as refusal,
            ):
                reading(nonsense, env.postgresql)
            self.assertNotIn("secret", str(refusal.exception))

    def test_hosts_are_names_or_addresses_and_nothing_else(self) -> None:
        with mock.patch.dict(os.environ, HOSTS=" NAS, nas:81,.Lan., [FD00:0::1]:8080 ,10.0.0.1"):
            expected = ["nas", "nas:81", ".lan", "[fd00::1]:8080", "10.0.0.1"]
            self.assertEqual(env.hosts("HOSTS"), expected)
        for wrong in (
            "*",
            "http://nas",
            "nas/",
            "*.lan",
            "a b",
            "fd00::1",
            "[zz]",
            "[::g]",
            "nas:",
            ".",
        ):
            with (
                self.subTest(wrong),
                mock.patch.dict(os.environ, HOSTS=wrong),
                self.assertRaisesMessage(ImproperlyConfigured, "HOSTS"),
            ):
                env.hosts("HOSTS")
