"""Workers that do not answer make nobody wait who does not wait for them."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from tests.support import samples
from tests.support.stack_case import StackCase


class SlowWorkersTests(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "workers": 1,
        "settings": {
            "FACES_WEB_PROCESSES": "1",
            "FACES_WEB_THREADS": "4",
            "FACES_SYNC_RESPONSE_TIMEOUT_S": "6",
        },
    }

    def test_who_waits_for_encodings_does_not_take_every_thread(self) -> None:
        self.stack.pool.stop()
        with ThreadPoolExecutor(12) as callers:
            asked = [callers.submit(self.ask, number) for number in range(12)]
            time.sleep(1)
            started = time.monotonic()
            self.assertEqual(self.stack.get("/healthcheck").status_code, 200)
            self.assertEqual(self.stack.post_image(samples.face()).status_code, 202)
            self.assertLess(time.monotonic() - started, 3)
            answers = [each.result() for each in asked]
        self.assertEqual({status for status, _ in answers}, {202})
        self.assertEqual(sum(took_s > 5 for _, took_s in answers), 3)

    def ask(self, number: int) -> tuple[int, float]:
        started = time.monotonic()
        files = {"upload_file": ("a.jpg", samples.another(samples.face(), number))}
        answer = self.stack.request("POST", "/generate_face_encoding", files=files)
        return answer.status_code, time.monotonic() - started
