"""Every command of the documentation, run as it stands there against a real service.

A page is one story: its blocks marked `sh` run in order, in one shell, in a folder with photographs
of the names that pages use. `NOT_RUN` is the only list of what is left out, with the reason and
with what shows that it works all the same.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg

from backend.recognition.tests.base import Images
from tests.repository.codebase import ROOT
from tests.repository.documents import DOCS, Block, blocks, name, pages
from tests.support import image_factories, postgres_server, samples
from tests.support.postgres_server import PostgresServer
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

_CONTAINERS: Final = "needs Docker; tools/tests/test_compose.py checks the files"
_ACCOUNT: Final = "needs an account at AWS; lambdaworker/tests/test_deployment.py checks the files"
_TARGETS: Final = (
    "a target of the Makefile, which .ci/run calls; the runner is tests/support/runner.py"
)

NOT_RUN: Final = {
    # Pages, and what commands begin with.
    "docs/clients.md": "run by tests/e2e/pages/test_clients_page.py, with what must come of it",
    "docs/lambda.md": "tests/e2e/test_lambda_flow.py has the function run by the same emulator",
    "docs/lambda-deployment.md": _ACCOUNT,
    "docs/models.md": "needs weights of one's own; faceengine/tests/test_encoders.py runs the same",
    "docs/photos.md": "needs members and an album; backend/photos/tests/test_api.py calls all",
    "docs/scaling.md": _CONTAINERS,
    "docker compose": _CONTAINERS,
    "export COMPOSE_FILE": _CONTAINERS,
    "aws s3 sync": "needs an account at AWS; copies files as they are",
    "aws s3api": "needs an account at AWS; tests/e2e/test_s3_flow.py has a server that speaks S3",
    ".venv/bin/python manage.py move_database": (
        "needs an empty PostgreSQL; tests/e2e/test_move_database.py"
    ),
    "make run": "run by tools/tests/test_run.py, after tools/tests/test_setup.py",
    "make test": _TARGETS,
    "make lint": _TARGETS,
    "make bench": "takes long by design: benchmarks/__main__.py",
    "make lock": ("asks the package index; tests/repository/test_architecture.py checks the locks"),
    "git pull": "changes the checkout",
    ".venv/bin/python -m websockets": "stays connected; tests/support/listener.py is such a client",
}

_SERVICE: Final = "localhost:8282"
_TIMEOUT_S: Final = 120
_NUMBERS: Final = json.dumps([0.05] * 128)
_PEOPLE: Final = ROOT / "docs" / "pictures" / "people.jpg"

# Of two friends and a stranger, by the names that pages use.
_PHOTOS: Final = {
    "ann.jpg": "obama.jpg",
    "photo.jpg": "obama3.jpg",
    "who.jpg": "obama2.jpg",
    "somebody.jpg": "obama2.jpg",
    "face.jpg": "obama2.jpg",
    "a.jpg": "obama.jpg",
    "b.jpg": "obama2.jpg",
    "bob.jpg": "biden.jpg",
}

_CURL: Final = """#!/bin/sh
# An error is an error, unlike for curl.
exec {curl} --fail-with-body --silent --show-error --noproxy '*' "$@"
"""
_MANAGE: Final = """#!/bin/sh
exec {python} {root}/manage.py "$@"
"""


class DocumentedCommandsTests(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "nginx": True,
        "settings": {
            "FACES_DOWNLOAD_ALLOWED_HOSTS": "127.0.0.1",
            "FACES_SYNC_RESPONSE_TIMEOUT_S": "60",
        },
    }
    images: ClassVar[Images]
    made: ClassVar[dict[str, str]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.images = cls.enterClassContext(Images())
        key = cls.stack.manage("create_api_key", "operator", "--scopes", "operate")
        cls.made = {"KEY": key.stdout.split()[-1], "ID": cls._answer()}

    @classmethod
    def _answer(cls) -> str:
        """The number of an answer about the gallery of user 7, in which two people are."""
        user = "/recognition/users/7"
        for face_id, (contact, photo) in enumerate([(1, "ann"), (1, "photo"), (2, "bob")], 10):
            form = {"face_id": str(face_id), "score": "1"}
            path = f"{user}/contacts/{contact}/faces"
            cls.stack.post_image(_photo(f"{photo}.jpg"), path=path, data=form).raise_for_status()
        answer = cls.stack.post_image(_photo("who.jpg"), path=f"{user}/recognize")
        return answer.headers["Operation-Id"]

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="faces-docs-")))
        _furnish(self.folder)

    def test_every_page_runs_from_its_beginning_to_its_end(self) -> None:
        # These have tests of their own below.
        for page in pages():
            if page.name not in ("tutorial.md", "backups.md"):
                with self.subTest(name(page)):
                    self.run_blocks([*blocks(page, "sh")])

    def test_every_command_that_is_left_out_exists_and_is_tested_elsewhere(self) -> None:
        every = [(name(page), each) for page in pages() for each in blocks(page, "sh")]
        for left_out, reason in NOT_RUN.items():
            with self.subTest(left_out):
                begins = [
                    c for _, block in every for c in block.commands() if c.startswith(left_out)
                ]
                self.assertTrue(begins or left_out in dict(every))
                for path in re.findall(r"[\w./]+/[\w./]*\w", reason):
                    self.assertTrue((ROOT / path).exists(), path)

    def test_the_tutorial_tells_friends_apart(self) -> None:
        ready, accepted, status, ann, bob, *names, who, stranger, same, gone = self.answers(
            DOCS / "tutorial.md"
        )
        self.assertTrue(ready["ready"], ready)
        self.assertEqual((status["id"], status["status"]), (accepted["id"], "done"))
        self.assertEqual([len(each["added"]) for each in (ann, bob)], [1, 1])
        self.assertEqual([each["name"] for each in names], ["Ann", "Bob"])
        self.assertEqual([(face["contact_id"], face["name"]) for face in who], [(1, "Ann")])
        self.assertEqual(stranger, [])
        self.assertTrue(same["same_person"])
        self.assertEqual(len(gone["deleted"]), 2)

    def test_a_backup_of_a_running_service_restores_it(self) -> None:
        if self.stack.database_url:
            self.skipTest("its rows are in PostgreSQL")
        before = self.stack.wait_ended([self.stack.upload(samples.another(samples.face(), 1))])
        (self.stack.storage / ".venv").symlink_to(sys.prefix)
        self.run_blocks(_under("SQLite, while it runs"), cwd=self.stack.storage)
        after = self.stack.upload(samples.another(samples.face(), 2))
        self.stack.stop_processes()
        self.run_blocks(_under("Restore"), cwd=self.stack.storage)
        with self.stack.redis.client() as redis:
            redis.flushall()
        self.stack.start_processes()
        for id, status in before.items():
            self.assertEqual(self.stack.status(id), status)
            self.assertEqual(self.stack.get(status["image_url"]).status_code, 200)
        self.assertEqual(self.stack.get(f"/image/{after}/").status_code, 404)

    def test_a_backup_of_postgresql_restores_encodings(self) -> None:
        server = PostgresServer.current or self.enterContext(PostgresServer())
        dump, restore = _under("PostgreSQL")
        one, other = server.create_database(), server.create_database()
        with psycopg.connect(one) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("CREATE TABLE face (encoding vector(3))")
            connection.execute("CREATE INDEX ON face USING hnsw (encoding vector_l2_ops)")
            connection.execute("INSERT INTO face VALUES ('[1, 0.5, -2]')")
        for block, url in ((dump, one), (restore, other)):
            self.run_blocks([block], DATABASE_URL=url)
        with psycopg.connect(other) as connection:
            rows = connection.execute("SELECT encoding::text FROM face").fetchall()
        self.assertEqual(rows, [("[1,0.5,-2]",)])

    def test_the_python_of_the_engines_page_draws_boxes(self) -> None:
        (block,) = blocks(DOCS / "faceengine.md", "python")
        self.run_here([sys.executable, "-c", block.text])
        self.assertTrue((self.folder / "boxed.jpg").exists())

    def test_the_python_of_the_events_page_follows_the_feed(self) -> None:
        (block,) = blocks(DOCS / "events.md", "python")
        printed = self.folder / "printed"
        command = [sys.executable, "-u", "-c", self.local(block.text)]
        with printed.open("w") as file, subprocess.Popen(command, stdout=file) as following:
            # Events before its connection do not reach it, so uploads continue until one does.
            self.addCleanup(following.kill)
            numbers = iter(range(100, 200))

            def hears() -> bool:
                upload = samples.another(samples.face(), next(numbers))
                self.stack.wait_until_ended([self.stack.upload(upload)])
                return bool(printed.read_text())

            wait_until(hears, "it prints what it hears", poll_s=0.2)
            following.kill()
        self.assertRegex(printed.read_text(), r"^1 http://\S+\.jpg\n")

    # --- a page as a story

    def run_blocks(self, story: list[Block], *, cwd: Path | None = None, **more: str) -> list[str]:
        """Run the blocks in one shell; returns what each of those that are not left out printed."""
        answers = self.folder / "answers"
        answers.mkdir(exist_ok=True)
        script = ["set -euo pipefail"]
        for number, text in enumerate(filter(None, map(_to_run, story))):
            script.append(f"{{\n{self.local(text, story[0].page)}\n}} > {answers}/{number:03}")
        self.run_here(["bash", "-c", "\n".join(script)], cwd=cwd, **more)
        return [path.read_text() for path in sorted(answers.iterdir())]

    def answers(self, page: Path) -> list[Any]:
        """What the service answered to each command of a page that asks it alone."""
        decoder, every = json.JSONDecoder(), []
        for text in self.run_blocks([*blocks(page, "sh")]):
            while text.strip():
                answer, end = decoder.raw_decode(text.lstrip())
                every.append(answer)
                text = text.lstrip()[end:]
        return every

    def run_here(self, command: list[str], *, cwd: Path | None = None, **more: str) -> None:
        # Of PostgreSQL's programs those that are as new as the server.
        folders = [self.folder / "bin", f"{sys.prefix}/bin", *postgres_server.programs()]
        path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
        environ = {**self.stack.environ, **self.made, "DJANGO_SUPERUSER_PASSWORD": "a long one"}
        environ |= {"PATH": path, "PYTHONPATH": str(ROOT), **more}
        ran = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        self.assertEqual(ran.returncode, 0, f"{command[-1]}\n\n{ran.stdout}\n{ran.stderr}")

    def local(self, text: str, page: Path = ROOT) -> str:
        """With what stands for something else on the page replaced by what it stands for."""
        for words, meant in (self._words(name(page)) | {_SERVICE: self._address}).items():
            text = text.replace(words, meant)
        return text

    @property
    def _address(self) -> str:
        return self.stack.url.removeprefix("http://")

    def _words(self, page: str) -> dict[str, str]:
        account = (
            f"createsuperuser --noinput --username {Path(page).stem} --email ann@faces.example"
        )
        words = {
            "docs/confidence.md": {" [--client ID] [--user N]": ""},
            # One is enough, the CNN takes its time.
            "docs/detector.md": {"*.jpg": "ann.jpg"},
            "docs/encodings.md": {"9300…": _sha256(_photo("photo.jpg")), "[0.1, …]": _NUMBERS},
            "docs/galleries.md": {
                "…/recognition": f"{self.stack.url}/recognition",
                "/ID/": "/$ID/",
            },
            # As the service would read it, which looks for it in the checkout.
            "docs/production.md": {"chmod 600 .env": "chmod 600 .env; set -a; . ./.env; set +a"},
            "docs/recognition.md": {
                "https://images.example/ann.jpg": self.images.put(_photo("ann.jpg"))
            },
            "docs/search.md": {"[0.1, …]": _NUMBERS},
            "docs/security.md": {"PREFIX": '"${KEY%%.*}"'},
        }
        found = {"createsuperuser": account} | words.get(page, {})
        if page == "docs/recognition.md":
            found["7246f927-94a4-4225-9a56-b52bab894ad0"] = self._submission
        return found

    @cached_property
    def _submission(self) -> str:
        id = self.stack.upload(_photo("ann.jpg"))
        self.stack.wait_ended([id])
        return id


def _to_run(block: Block) -> str:
    """What of the block is not left out; empty if nothing is."""
    if name(block.page) in NOT_RUN or block.is_settings():
        return ""
    lines = block.text.replace("\\\n", "").splitlines()
    kept = [line for line in lines if not line.lstrip().startswith(("#", *NOT_RUN))]
    return "\n".join(kept).strip()


def _under(heading: str) -> list[Block]:
    return [block for block in blocks(DOCS / "backups.md", "sh") if block.heading == heading]


def _furnish(folder: Path) -> None:
    """What pages take for granted: photographs, the checkout's tools."""
    for photo in _PHOTOS:
        (folder / photo).write_bytes(_photo(photo))
    for photo in ("people.jpg", "stranger.jpg"):
        shutil.copy(_PEOPLE, folder / photo)
    together = image_factories.encoded(image_factories.side_by_side(width=300))
    (folder / "together.jpg").write_bytes(together)
    for target, link in (
        (sys.prefix, ".venv"),
        (ROOT / "docs", "docs"),
        (ROOT / "manage.py", "manage.py"),
    ):
        (folder / link).symlink_to(target)
    (folder / "bin").mkdir()
    for program, text in (("curl", _CURL), ("manage.py", _MANAGE)):
        path = folder / "bin" / program
        path.write_text(text.format(curl=shutil.which("curl"), python=sys.executable, root=ROOT))
        path.chmod(0o755)


def _photo(photo: str) -> bytes:
    return image_factories.encoded(image_factories.portrait(_PHOTOS[photo], width=400))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
