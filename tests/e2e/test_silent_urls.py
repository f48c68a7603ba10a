"""One client's calls with URLs that never answer, beside another client's."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from backend.recognition.tests.base import Images
from tests.e2e.test_api_keys import manage
from tests.support import photographs
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase

_PATH = "/recognition/users/{user}/contacts/1/faces"


class SilentUrlTests(StackCase):
    web: ClassVar[Images]
    # Each download of a silent URL takes two minutes, and all of one call together four.
    options: ClassVar[dict[str, Any]] = {
        "settings": {
            "FACES_DOWNLOAD_ALLOWED_HOSTS": "127.0.0.1",
            "FACES_DOWNLOAD_TIMEOUT_S": "120",
            "FACES_JOB_TIMEOUT_S": "480",
            "FACES_SYNC_RESPONSE_TIMEOUT_S": "0.1",
        }
    }

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.web = cls.enterClassContext(Images())

    def test_another_client_need_not_wait_until_the_downloads_end(self) -> None:
        alice, bob = (
            manage(self.stack, "create_api_key", name, "--scopes", "recognise")
            for name in ("alice", "bob")
        )
        silent = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for user in range(4):
            self.add(alice, user, url)
        wait_until(lambda: self.statuses("alice").count("processing") == 2, "no worker is free")
        self.add(bob, 1, self.web.put(photographs.read("biden.jpg")))
        wait_until(lambda: self.statuses("bob") == ["done"], "the other client's call has ended")
        self.assertLessEqual(set(self.statuses("alice")), {"queued", "processing"})

    def add(self, key: str, user: int, url: str) -> None:
        face = {"face_id": 1, "face_url": url, "score": 1.0}
        answer = self.stack.request(
            "POST",
            _PATH.format(user=user + 1),
            json={"faces": [face]},
            headers={"X-Api-Key": key},
        )
        self.assertIn(answer.status_code, (200, 202))

    def statuses(self, client: str) -> list[str]:
        rows = self.stack.query(
            "SELECT o.status FROM recognition_operation o JOIN clients_client c"
            " ON c.id = o.owner_id WHERE c.name = ?",
            client,
        )
        return [row["status"] for row in rows]
