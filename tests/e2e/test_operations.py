"""Metrics and the admin, through nginx."""

import re
import unittest
from typing import ClassVar

from tests.support import photographs, samples
from tests.support.stack import Stack, wait_until

_REQUESTS = "faces_http_request_duration_seconds_count"


class SeenFromOutsideTests(unittest.TestCase):
    stack: ClassVar[Stack]

    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = cls.enterClassContext(Stack(workers=1, nginx=True))

    def numbers(self) -> dict[str, float]:
        page = self.stack.get("/metrics").text
        pairs = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {series: float(value) for series, value in pairs}

    def test_one_image_is_counted_by_every_process_it_passes(self) -> None:
        standing = {
            "faces_ws_connections": 1,
            "faces_workers": 1,
            'faces_queue_depth{kind="submission",queue="uploads"}': 0,
        }
        counted = {
            "faces_uploads_total": 1,
            _REQUESTS + '{method="POST",status="202",view="image"}': 1,
            'faces_jobs_total{kind="submission",outcome="done"}': 1,
            'faces_engine_seconds_count{stage="detect_encode"}': 1,
            "faces_detected_total": 1,
            "faces_ws_events_sent_total": 1,
        }
        image = photographs.read("obama.jpg")

        def is_counted(number: int) -> bool:
            before = self.numbers()
            listener.wait_for([self.stack.upload(samples.another(image, number))])

            def grown() -> bool:
                now = self.numbers()
                grown = {name: now.get(name, 0) - before.get(name, 0) for name in counted}
                return grown == counted and standing.items() <= now.items()

            try:
                # The websocket server reports its own every five seconds.
                wait_until(grown, "the image is counted", 20, poll_s=0.2)
            except TimeoutError:
                return False
            return True

        with self.stack.listen() as listener:
            # What Redis does not take within 0.1 s is not counted, and this machine may be busy.
            self.assertTrue(any(is_counted(number) for number in range(5)))

    def test_the_admin_comes_with_its_style_sheets(self) -> None:
        page = self.stack.get("/admin/login/")
        self.assertEqual(page.status_code, 200)
        sheets = re.findall(r'href="(/[^"]+\.css)"', page.text)
        self.assertTrue(sheets)
        for sheet in [*sheets, "/assets/admin/css/base.css"]:
            answer = self.stack.get(sheet)
            self.assertEqual(
                (answer.status_code, answer.headers["Content-Type"][:8]), (200, "text/css")
            )

    def test_the_admin_is_found_without_its_slash(self) -> None:
        answer = self.stack.get("/admin")
        self.assertEqual((answer.status_code, answer.headers["Location"]), (302, "/admin/"))
