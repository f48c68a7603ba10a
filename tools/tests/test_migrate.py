"""What is done before the backend starts, where it is no migration."""

import os
import tempfile
import time
import unittest
from pathlib import Path

from tools import migrate


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
