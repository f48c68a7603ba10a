"""The settings files: what is read, and what wins."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from wire import environment, obsolete_settings
from wire.environment import SettingsFileError


class SettingsFiles(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def value(self, line: str) -> str:
        """The value that one line gives."""
        self.write("default.env", f"NAME={line}\n")
        return environment.read(self.root)["NAME"]

    def test_dot_env_overrides_and_the_environment_overrides_both(self) -> None:
        self.write("default.env", "ONE=default\nTWO=default\nTHREE=default\n")
        self.write(".env", "TWO=dot\nTHREE=dot\nFOUR=dot\n")
        environ = {"THREE": "mine"}
        environment.load(self.root, environ)
        expected = {"ONE": "default", "TWO": "dot", "THREE": "mine", "FOUR": "dot"}
        self.assertEqual(environ, expected)

    def test_a_variable_that_is_set_but_empty_overrides_too(self) -> None:
        self.write("default.env", "ONE=default\n")
        environ = {"ONE": ""}
        environment.load(self.root, environ)
        self.assertEqual(environ, {"ONE": ""})

    def test_the_defaults_leave_out_dot_env(self) -> None:
        self.write("default.env", "ONE=default\n")
        self.write(".env", "ONE=dot\n")
        self.assertEqual(environment.defaults(self.root), {"ONE": "default"})

    def test_dot_env_is_optional(self) -> None:
        self.write("default.env", "ONE=1\n")
        self.assertEqual(environment.read(self.root), {"ONE": "1"})

    def test_comments_blank_lines_and_export_are_understood(self) -> None:
        self.write("default.env", "# why\n\n  # indented\n export ONE=1\r\n\tTWO=2  \n")
        self.assertEqual(environment.read(self.root), {"ONE": "1", "TWO": "2"})

    def test_the_last_line_of_a_name_counts(self) -> None:
        self.write("default.env", "ONE=1\nONE=2\n")
        self.assertEqual(environment.read(self.root), {"ONE": "2"})

    def test_one_pair_of_quotes_is_stripped(self) -> None:
        for line, value in {
            '"a b"': "a b",
            "'a b'": "a b",
            "'\"a\"'": '"a"',
            '"a # b"': "a # b",
            '""': "",
            '"': '"',
            "\"a'": "\"a'",
            "it's": "it's",
        }.items():
            with self.subTest(line):
                self.assertEqual(self.value(line), value)

    def test_a_comment_after_a_value_needs_a_space_before_it(self) -> None:
        for line, value in {
            "a # b": "a",
            "a\t# b": "a",
            "a#b": "a#b",
            "#b": "",
            "redis://h/0 # x # y": "redis://h/0",
        }.items():
            with self.subTest(line):
                self.assertEqual(self.value(line), value)

    def test_a_value_may_hold_the_equals_sign(self) -> None:
        self.assertEqual(self.value("a=b=c"), "a=b=c")

    def test_a_bad_line_is_named_with_its_file_and_number(self) -> None:
        self.write("default.env", "ONE=1\n")
        for line in ("nonsense", "=1", "A B=1", "1A=1", "A-B=1", "NAME =1"):
            self.write(".env", f"# first\n{line}\n")
            with self.subTest(line), self.assertRaisesRegex(SettingsFileError, r"\.env, line 2: "):
                environment.read(self.root)

    def test_a_bad_line_is_not_shown_as_it_may_be_a_secret(self) -> None:
        self.write("default.env", "DJANGO_SECRET_KEY: hunter2\n")
        with self.assertRaises(SettingsFileError) as raised:
            environment.read(self.root)
        self.assertNotIn("hunter2", str(raised.exception))

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        with self.assertRaisesRegex(SettingsFileError, "default.env cannot be read"):
            environment.read(self.root)
        (self.root / "default.env").write_bytes(b"ONE=\xff\n")
        with self.assertRaisesRegex(SettingsFileError, "default.env cannot be read"):
            environment.read(self.root)

    def test_the_projects_own_file_can_be_read(self) -> None:
        self.assertIn("CACHE_BACKEND_URL", environment.defaults())


class ObsoleteSettings(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.root / "default.env").write_text("NEW=1\n")
        self.enterContext(mock.patch.dict(obsolete_settings.RENAMED, {"OLD": "NEW"}))
        self.enterContext(mock.patch.dict(obsolete_settings.REMOVED, {"GONE": "It is always on."}))

    def test_a_renamed_setting_is_refused_with_its_new_name_and_place(self) -> None:
        (self.root / ".env").write_text("OLD=5\n")
        with self.assertRaisesRegex(SettingsFileError, r"\.env .*OLD was renamed: set NEW instead"):
            environment.load(self.root, {})
        (self.root / ".env").unlink()
        with self.assertRaisesRegex(SettingsFileError, "the environment .*set NEW instead"):
            environment.load(self.root, {"OLD": ""})

    def test_a_removed_setting_is_refused_with_the_reason(self) -> None:
        with self.assertRaisesRegex(SettingsFileError, "GONE was removed: It is always on."):
            environment.load(self.root, {"GONE": "true"})

    def test_all_of_them_are_named_at_once(self) -> None:
        with self.assertRaisesRegex(SettingsFileError, "OLD .*GONE"):
            environment.load(self.root, {"OLD": "1", "GONE": "1"})


class TheProjectsObsoleteSettings(unittest.TestCase):
    def test_none_is_in_default_env_and_each_new_name_is(self) -> None:
        current = set(environment.defaults())
        self.assertLessEqual(set(obsolete_settings.RENAMED.values()), current)
        old = {*obsolete_settings.RENAMED, *obsolete_settings.REMOVED}
        self.assertEqual(old & current, set())

    def test_each_removal_has_a_sentence_and_the_rows_are_sorted(self) -> None:
        for sentence in obsolete_settings.REMOVED.values():
            self.assertRegex(sentence, r"^[A-Z`].*\.$")
        for rows in (obsolete_settings.RENAMED, obsolete_settings.REMOVED):
            self.assertEqual(list(rows), sorted(rows))
