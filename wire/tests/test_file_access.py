"""The service runs as any user of the host, or names what it cannot write to."""

import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from wire import file_access
from wire.environment import ROOT

_AS_NOBODY = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from wire import file_access
os.setgroups([]); os.setgid(65534); os.setuid(65534)
file_access.require(Path(sys.argv[2]))
"""


class FileAccessTests(unittest.TestCase):
    def setUp(self) -> None:
        self.storage = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.storage.chmod(0o755)

    def test_an_own_folder_is_taken_also_one_that_is_not_there_yet(self) -> None:
        file_access.require(self.storage / "new" / "data")
        self.assertTrue((self.storage / "new" / "data").is_dir())
        (self.storage / "media" / "originals").mkdir(parents=True)
        self.assertEqual(file_access.complaint(self.storage), "")

    def test_images_are_for_their_user_and_group_alone(self) -> None:
        media = self.storage / "media"
        media.mkdir()
        media.chmod(0o755)
        for _ in range(2):
            file_access.share_with_owner_alone(media)
            self.assertEqual(stat.S_IMODE(media.stat().st_mode), 0o750)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_another_users_folder_is_named_in_one_sentence(self) -> None:
        inside = self.storage / "media" / "originals" / "aa"
        inside.mkdir(parents=True)
        (self.storage / "db.sqlite3").touch(mode=0o640)
        for path in (self.storage, inside.parent.parent):
            for opened in (self.storage, inside.parent.parent, inside.parent):
                opened.chmod(0o777)
            path.chmod(0o755)
            done = self.as_nobody(self.storage)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            words = r"^Faces cannot go on: the user 65534:65534 cannot write to \S+, which belongs"
            self.assertRegex(done.stderr, words)
            self.assertEqual(done.stderr.count("\n"), 1)

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_a_folder_that_cannot_be_made_is_named_too(self) -> None:
        done = self.as_nobody(self.storage / "data")
        self.assertIn(f"cannot write to {self.storage}, which belongs to 0:0", done.stderr)

    def as_nobody(self, storage: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _AS_NOBODY, str(ROOT), str(storage)]
        return subprocess.run(command, capture_output=True, text=True)
