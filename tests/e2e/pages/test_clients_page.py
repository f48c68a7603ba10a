"""docs/clients.md, and the JavaScript of docs/events.md, run as they stand there."""

import base64
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import requests
import yaml

from backend.webhooks.tests.receiver import Receiver
from tests.repository.codebase import ROOT
from tests.repository.documents import DOCS, Block, blocks
from tests.support import samples
from tests.support.browser import BrowserCase
from tests.support.redis_server import free_port
from tests.support.stack import local_session, wait_until

_SERVICE: Final = "http://localhost:8282"
_PEOPLE: Final = ROOT / "docs" / "pictures" / "people.jpg"
_PICTURES: Final = 3
_FACES: Final = 4


class ClientsPageTests(BrowserCase):
    options = {"nginx": True, "settings": {"FACES_DOWNLOAD_ALLOWED_HOSTS": "127.0.0.1"}}

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="faces-clients-")))
        shutil.copy(_PEOPLE, self.folder)

    def test_the_curl_examples_answer(self) -> None:
        answers = [
            json.loads(self.shell(block.text).stdout.splitlines()[-1])
            for block in self.under("curl", "sh")
        ]
        accepted, encoding, again, verdict = answers
        self.assertIn("status_url", accepted)
        self.assertEqual(len(encoding["faces"]), _FACES)
        self.assertEqual(again["face_encoding"], encoding["face_encoding"])
        self.assertTrue(verdict["same_person"])

    def test_the_shell_sends_each_file_of_the_folder_once(self) -> None:
        (block,) = self.under("Shell: upload a folder", "sh")
        before = set(self.stack.submissions())
        following = subprocess.Popen(
            ["bash", "-c", self.local(block.text)], cwd=self.folder, start_new_session=True
        )
        self.addCleanup(following.wait)
        self.addCleanup(os.killpg, following.pid, signal.SIGKILL)
        incoming, sent = self.folder / "incoming", self.folder / "sent"
        wait_until(sent.is_dir, "the folders are there")
        for number in range(_PICTURES):
            shutil.copy(_PEOPLE, self.folder / "moved")
            (self.folder / "moved").rename(incoming / f"people with $name {number}.jpg")
        (incoming / "no picture.jpg").write_text("nothing to see")
        wait_until(lambda: len(list(sent.iterdir())) == _PICTURES, "all pictures are sent")
        uploaded = set(self.stack.submissions()) - before
        self.assertEqual(len(uploaded), _PICTURES)
        self.assertEqual([path.name for path in incoming.iterdir()], ["no picture.jpg"])

    def test_the_python_client_waits_and_keeps_the_boxed_picture(self) -> None:
        (block,) = self.under("Python", "python")
        (self.folder / "faces.py").write_text(self.local(block.text))
        ran = self.run_here([sys.executable, "faces.py", "people.jpg"])
        self.assertEqual(ran.stdout.split(" [")[0], "people.jpg faces")
        self.assertEqual(ran.stdout.count("'top': "), _FACES)
        self.assertGreater((self.folder / "people-boxed.jpg").stat().st_size, 1000)

    def test_the_receiver_prints_who_is_recognised_and_refuses_others(self) -> None:
        (command,), (receiver,) = self.under("Webhooks", "sh"), self.under("Webhooks", "python")
        port = str(free_port())
        url = f"http://127.0.0.1:{port}/faces"
        words = shlex.split(command.text.replace("http://127.0.0.1:8000/faces", url))
        made = self.stack.manage(*words[words.index("manage.py") + 1 :])
        self.assertEqual(made.returncode, 0, made.stderr)
        (self.folder / "receiver.py").write_text(receiver.text.replace("8000", port))
        secret = made.stdout.splitlines()[-1]
        printed = self.folder / "printed"
        with printed.open("w") as output:
            receiving = subprocess.Popen(
                [sys.executable, "receiver.py", secret], cwd=self.folder, stdout=output
            )
        self.addCleanup(receiving.wait)
        self.addCleanup(receiving.kill)
        wait_until(lambda: _answers(url, b"{}") == 401, "it refuses what is not signed")
        self.enrol_ann()
        self.stack.upload(_PEOPLE)
        wait_until(lambda: "'Ann'" in printed.read_text(), "the name is printed")

    def test_home_assistant_reads_what_is_sent(self) -> None:
        (block,) = self.under("Home Assistant", "yaml")
        configured = yaml.safe_load(block.text)
        call, automation = configured["rest_command"]["faces"], configured["automation"][1]
        self.enrol_ann()
        picture = self.stack.status(self.stack.upload(_PEOPLE))["original_url"]
        snapshot = json.loads(call["payload"])["face_url"]
        with Receiver() as receiver:
            events = ("--events", "person.recognised", "--user", "1")
            made = self.stack.manage("create_webhook", "anonymous", receiver.address, *events)
            self.assertEqual(made.returncode, 0, made.stderr)
            answer = self.stack.request(
                call["method"].upper(),
                self.local(call["url"]),
                data=call["payload"].replace(snapshot, picture),
                headers={"Content-Type": call["content_type"]},
            )
            self.assertEqual(answer.status_code, 200, answer.text)
            self.assertTrue(receiver.got.acquire(timeout=60))
        message = automation["actions"][0]["data"]["message"]
        said = re.sub(r"{{ (.+?) }}", lambda found: _value(found[1], receiver.bodies[0]), message)
        self.assertEqual(said, "Ann rang the bell (sure).")

    def enrol_ann(self) -> None:
        """As contact 1 of user 1, from the picture's largest face."""
        contact = "/recognition/users/1/contacts/1"
        face = {"face_id": 1, "score": 1, "image": _base64(_PEOPLE)}
        for method, path, body in (
            ("POST", f"{contact}/faces", {"faces": [face]}),
            ("PATCH", contact, {"name": "Ann"}),
        ):
            answer = self.stack.request(method, path, json=body)
            self.assertEqual(answer.status_code, 200, answer.text)

    def test_the_javascript_runs_in_a_page(self) -> None:
        function, use = self.under("JavaScript", "js")
        page = self.open("/")
        script = f"""async (base64) => {{
            const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt());
            const file = new File([bytes], "people.jpg", {{ type: "image/jpeg" }});
            {self.local(function.text)}
            {self.local(use.text)}
            return {{ outcome, count: found.length, image_url }};
        }}"""
        told: dict[str, Any] = page.evaluate(script, _base64(_PEOPLE))
        self.assertEqual((told["outcome"], told["count"]), ("faces", _FACES))
        self.assertEqual(self.stack.get(told["image_url"]).headers["Content-Type"], "image/jpeg")

    def test_the_javascript_of_the_events_page_receives_uploads(self) -> None:
        (block,) = blocks(DOCS / "events.md", "js")
        page, numbers, heard = self.open("/"), iter(range(100)), list[str]()
        page.on("console", lambda message: heard.append(message.text))
        page.evaluate(f"() => {{ {block.text.replace(*self.addresses)} }}")
        # Events before its connection do not reach it, so uploads continue until one does.
        while "face(s)" not in "".join(heard):
            upload = samples.another(samples.face(), next(numbers))
            self.stack.wait_until_ended([self.stack.upload(upload)])
            page.wait_for_timeout(100)
        self.assertRegex(heard[-1], r"1 face\(s\): http://\S+\.jpg")

    @property
    def addresses(self) -> tuple[str, str]:
        """On the page, and of the service that runs; without the scheme."""
        return _SERVICE.partition("//")[2], self.stack.url.partition("//")[2]

    def under(self, heading: str, language: str) -> list[Block]:
        found = blocks(DOCS / "clients.md", language)
        return [block for block in found if block.heading == heading]

    def local(self, text: str) -> str:
        return text.replace(_SERVICE, self.stack.url)

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        return self.run_here(["bash", "-euc", self.local(text)])

    def run_here(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran


def _answers(url: str, body: bytes) -> int:
    """The status of a POST with a false signature; 0 while the connection is refused."""
    headers = {"webhook-id": "a", "webhook-timestamp": "0", "webhook-signature": "v1,a"}
    try:
        with local_session() as session:
            return session.post(url, data=body, headers=headers, timeout=10).status_code
    except requests.ConnectionError:
        return 0


def _value(expression: str, body: Any) -> str:
    """`trigger.json.data.faces[0].name` of a body."""
    found = body
    for name, place in re.findall(r"(\w+)(?:\[(\d+)\])?", expression)[2:]:
        found = found[name][int(place)] if place else found[name]
    return str(found)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
