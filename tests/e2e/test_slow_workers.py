"""While workers do not answer, requests that need none are answered at once."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar

from tests.support import samples
from tests.support.stack import wait_until
from tests.support.stack_case import StackCase


class SlowWorkersTests(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "workers": 1,
        "settings": {
            "FACES_WEB_PROCESSES": "1",
            "FACES_WEB_THREADS": "4",
            "FACES_SYNC_RESPONSE_TIMEOUT_S": "10",
        },
    }

    def test_requests_that_wait_for_encodings_leave_threads_free(self) -> None:
        self.stack.pool.stop()
        with ThreadPoolExecutor(12) as callers:
            asked = [callers.submit(self.ask, number) for number in range(12)]
            wait_until(lambda: done(asked) >= 9, "all but three threads' requests are answered")
            self.assertEqual(self.stack.get("/healthcheck").status_code, 200)
            self.assertEqual(self.stack.post_image(samples.face()).status_code, 202)
            self.assertEqual(done(asked), 9, "three still wait for their encodings")
            self.assertEqual({each.result() for each in asked}, {202})

    def ask(self, number: int) -> int:
        files = {"upload_file": ("a.jpg", samples.another(samples.face(), number))}
        answer = self.stack.request("POST", "/generate_face_encoding", files=files)
        return answer.status_code


def done(asked: list[Future[int]]) -> int:
    return sum(each.done() for each in asked)
