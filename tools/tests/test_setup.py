"""The set-up: what it recognises as done, and what it says when it cannot go on."""

import io
import os
import subprocess
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

from tools import apt, setup
from tools.console import Step, UserError
from tools.shell import ROOT, CommandFailed, run


class PartTests(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(mock.patch.object(setup, "VENV", folder))
        self.enterContext(mock.patch.object(setup, "PYTHON", Path(sys.executable)))
        self.lock = folder / "lock.txt"
        self.lock.write_text("one==1")
        self.part = setup.Part("it", (self.lock,), lambda: None)

    def test_it_is_done_once_it_was_marked(self) -> None:
        self.assertFalse(self.part.is_done())
        self.part.mark_done()
        self.assertTrue(self.part.is_done())

    def test_it_is_due_again_after_its_source_changes(self) -> None:
        self.part.mark_done()
        self.lock.write_text("one==2")
        self.assertFalse(self.part.is_done())

    def test_it_is_to_be_done_again_with_another_python(self) -> None:
        self.part.mark_done()
        with mock.patch.object(sys, "version", "4.0"):
            self.assertFalse(self.part.is_done())


class SentenceTests(unittest.TestCase):
    def test_without_a_network_pip_is_not_quoted(self) -> None:
        error = CommandFailed(["pip"], 1, "… NewConnectionError: … Failed to establish")
        self.assertIn("Check the network", setup._why_pip_failed(error))

    def test_another_failure_of_pip_is_quoted(self) -> None:
        error = CommandFailed(["pip"], 1, "ERROR: No space left on device")
        self.assertIn("No space left", setup._why_pip_failed(error))

    def test_weights_that_cannot_be_had_are_one_line_and_no_failure(self) -> None:
        failed = CommandFailed(["python"], 2, "The weights of yunet cannot be downloaded: …")
        said = io.StringIO()
        with mock.patch.object(setup, "run", side_effect=failed), redirect_stdout(said):
            setup.fetch_weights()
        lines = said.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("HOG finds the faces", lines[1])
        self.assertIn("faceengine fetch", lines[1])

    def test_a_folder_that_cannot_be_written_to(self) -> None:
        with (
            mock.patch.object(setup, "ROOT", Path("/proc")),
            self.assertRaisesRegex(UserError, "/proc cannot be written to"),
            setup._alone(),
        ):
            self.fail("it went on")

    def test_who_is_not_root_gets_the_command(self) -> None:
        with (
            mock.patch.object(os, "geteuid", return_value=1000),
            mock.patch("shutil.which", return_value="/usr/bin/apt-get"),
            self.assertRaises(UserError) as caught,
        ):
            apt.install(["redis-server"], reason="Redis is missing")
        self.assertIn("Redis is missing", str(caught.exception))
        self.assertIn("install -y --no-install-recommends redis-server", str(caught.exception))

    def test_without_a_network_apt_get_is_not_quoted(self) -> None:
        error = CommandFailed(
            ["apt-get"], 100, "E: … Temporary failure resolving 'packages.example'"
        )
        self.assertIn("Check the network", apt._why_apt_failed(error))
        self.assertNotIn("E: …", apt._why_apt_failed(error))
        self.assertIn("held back", apt._why_apt_failed(CommandFailed([], 100, "E: held back")))

    def test_without_root_the_error_names_all_packages_at_once(self) -> None:
        with (
            mock.patch.object(setup, "_environment_works", return_value=False),
            mock.patch("importlib.util.find_spec", return_value=None),
            mock.patch.object(apt, "find", return_value=None),
            mock.patch.object(os, "geteuid", return_value=1000),
            mock.patch("shutil.which", return_value="/usr/bin/apt-get"),
            mock.patch.object(setup, "_alone"),
            self.assertRaises(UserError) as caught,
        ):
            setup.set_up(test=False)
        version = "{}.{}".format(*sys.version_info)
        self.assertIn(
            f"recommends redis-server nginx-light python{version}-venv", str(caught.exception)
        )

    def test_only_the_tests_need_a_browser_and_curl(self) -> None:
        with mock.patch.object(apt, "find", return_value=None):
            run, test = apt.missing(test=False), apt.missing(test=True)
        self.assertEqual(set(test) - set(run), {"chromium", "curl"})
        self.assertEqual(set(run), {"redis-server", "nginx-light"})

    def test_without_apt_get_the_error_names_the_packages(self) -> None:
        with (
            mock.patch("shutil.which", return_value=None),
            self.assertRaisesRegex(UserError, "Install redis-server"),
        ):
            apt.install(["redis-server"], reason="Redis is missing")


class CommandTests(unittest.TestCase):
    def test_what_a_command_prints_is_its_steps_progress(self) -> None:
        seen: list[str] = []
        step = mock.create_autospec(Step, instance=True)
        step.progress.side_effect = seen.append
        printed = run([sys.executable, "-c", "print('one'); print('two')"], step)
        self.assertEqual((printed, seen), ("one\ntwo\n", ["one", "two"]))

    def test_the_output_of_a_failed_command_is_kept(self) -> None:
        with self.assertRaises(CommandFailed) as caught:
            run([sys.executable, "-c", "print('why'); raise SystemExit(3)"])
        self.assertEqual((caught.exception.code, caught.exception.tail()), (3, "why"))

    def test_a_program_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(UserError, "/nowhere/pip cannot be started"):
            run(["/nowhere/pip"])

    def test_a_step_prints_its_title_and_its_duration(self) -> None:
        with redirect_stdout(io.StringIO()) as printed, Step("Making it"):
            pass
        self.assertEqual(printed.getvalue(), "• Making it …\n  done in 0 s\n")

    def test_it_runs_on_a_python_that_has_nothing_installed(self) -> None:
        command = [sys.executable, "-S", "-m", "tools.setup", "--help"]
        checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
