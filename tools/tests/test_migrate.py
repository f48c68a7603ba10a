"""What is done before the backend starts, where it is no migration."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tools import migrate
from tools.shell import ROOT


class CheckTests(unittest.TestCase):
    def test_an_unsafe_production_is_refused_before_anything_is_made(self) -> None:
        storage = Path(self.enterContext(tempfile.TemporaryDirectory()), "data")
        environ = {
            **os.environ,
            "ENVIRONMENT": "production",
            "STORAGE_DIR": str(storage),
            "FACES_TRUSTED_PROXIES": "",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tools.migrate"],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith("Faces cannot go on: "), done.stderr)
        for id in ("faces.E001", "faces.E020"):
            self.assertIn(id, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertFalse(storage.exists())


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "only root can be two users")
class OtherUserTests(unittest.TestCase):
    def test_a_folder_of_another_user_is_named_by_each_process_that_writes(self) -> None:
        storage = Path(self.enterContext(tempfile.TemporaryDirectory()), "data")
        (storage / "run" / "uploads").mkdir(parents=True)
        for folder in (storage, storage / "run"):
            folder.chmod(0o750)
            os.chown(folder, 65534, 65534)
        # As in a container: root without its privileges.
        user = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", sys.executable]
        for program in (["-m", "tools.migrate"], ["manage.py", "work"]):
            done = subprocess.run(
                [*user, *program],
                cwd=ROOT,
                env={**os.environ, "STORAGE_DIR": str(storage)},
                capture_output=True,
                text=True,
            )
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, rf"^Faces cannot go on: the user 0:0 cannot .*{storage}")


class UploadTests(unittest.TestCase):
    def test_leftovers_of_a_killed_process_are_deleted_and_running_uploads_stay(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()), "uploads")
        migrate.prepare_upload_folder(folder)
        left, sent = folder / "a.upload", folder / "b.upload"
        for file in (left, sent):
            file.touch()
        two_days_ago = time.time() - 48 * 3600
        os.utime(left, (two_days_ago, two_days_ago))
        migrate.prepare_upload_folder(folder)
        self.assertEqual([*folder.iterdir()], [sent])
