"""Whichever process dies, nothing is lost or published twice: real processes, real kill -9.

Every test ends in `assert_each_ended_once`: each accepted image is done or failed, its event is in
the stream once, and a listener that was connected all the time received it once.
"""

import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from tests.support import samples, service_process
from tests.support.stack import ENDED, Stack, wait_until
from tests.support.stack_case import StackCase

_numbers = iter(range(1, 1_000_000))

_BEGINS: Final = "processing"
_AGAIN: Final = "will be tried again"
_DUE: Final = r" at=(\S+)"
_OF_A_LINE: Final = timedelta(milliseconds=1)
"""How exact the moment of a line in the log is."""


def face() -> bytes:
    return samples.another(samples.face(), next(_numbers))


def phone_photo() -> bytes:
    return samples.another(samples.phone_photo(), next(_numbers))


def waiting_behind(stack: Stack, count: int = 4) -> tuple[list[str], list[str]]:
    """Uploads of which two keep both workers busy while the others wait in the queue.

    On a busy machine one may be done before the other is there: then another one follows.
    """
    large = [stack.upload(phone_photo()) for _ in range(2)]

    def both_are_busy() -> bool:
        rows = stack.submissions()
        left = [rows[id]["status"] for id in large if rows[id]["status"] not in ENDED]
        large.extend(stack.upload(phone_photo()) for _ in range(2 - len(left)))
        return left == ["processing"] * 2

    wait_until(both_are_busy, "both workers are busy", poll_s=0.002)
    return large, [stack.upload(face()) for _ in range(count)]


class FaultCase(StackCase):
    options: ClassVar[dict[str, Any]] = {
        "settings": {"FACES_MAX_RETRIES": "4", "FACES_RETRY_DELAY_S": "0.2"}
    }
    shares = "faults"


class KilledWorkerTests(FaultCase):
    def test_a_job_killed_in_mid_image_is_done_by_another(self) -> None:
        listener = self.listen()
        id = self.stack.upload(phone_photo())
        self.stack.kill_worker_of(id)
        resources = self.assert_each_ended_once([id], listener)
        self.assertEqual((resources[id]["status"], resources[id]["faces_count"]), ("done", 2))
        self.assertEqual(resources[id]["attempts"], 2)

    def test_a_worker_killed_is_replaced(self) -> None:
        wait_until(lambda: len(self.forks()) == 3, "two workers and the sweep are there")
        id = self.stack.upload(phone_photo())
        self.stack.kill_worker_of(id)
        self.assert_each_ended_once([id])
        wait_until(lambda: len(self.forks()) == 3, "the pool has two workers again")

    def test_the_pool_killed_with_all_it_started_loses_nothing(self) -> None:
        listener = self.listen()
        large, small = waiting_behind(self.stack)
        self.stack.pool.kill()
        self.stack.pool.start()
        resources = self.assert_each_ended_once([*large, *small], listener)
        self.assertEqual({each["status"] for each in resources.values()}, {"done"})

    def test_the_pool_killed_alone_takes_its_workers_along(self) -> None:
        listener = self.listen()
        large, small = waiting_behind(self.stack)
        orphans = set(self.stack.pool.members()) - {self.stack.pool.pid}
        self.stack.pool.kill_alone()
        self.stack.pool.start()
        self.assert_each_ended_once([*large, *small], listener)
        wait_until(
            lambda: not any(service_process.is_alive(pid) for pid in orphans),
            "workers without their pool end",
        )

    def test_an_image_that_kills_its_worker_every_time_fails_in_the_end(self) -> None:
        id = self.stack.upload(phone_photo())
        for attempt in range(1, 6):
            wait_until(lambda n=attempt: attempts(self.stack, id) == n, f"attempt {attempt}")  # type: ignore[misc]
            self.stack.kill_worker_of(id)
        resource = self.stack.wait_ended([id])[id]
        self.assertEqual(resource["status"], "failed")
        self.assertIn("several attempts", resource["reason"])

    def forks(self) -> list[int]:
        pool = self.stack.pool
        return [pid for pid in pool.members() if service_process.parent(pid) == pool.pid]


def attempts(stack: Stack, id: str) -> int:
    return int(stack.submissions()[id]["attempts"])


class StoppedInOrderTests(FaultCase):
    def test_sigterm_finishes_the_job_in_hand(self) -> None:
        listener = self.listen()
        large, small = waiting_behind(self.stack, 2)
        self.assertEqual(self.stack.pool.stop(), 0)
        rows = self.stack.submissions()
        self.assertEqual({rows[id]["status"] for id in large}, {"done"})
        self.assertEqual({rows[id]["attempts"] for id in large}, {1})
        self.stack.pool.start()
        self.assert_each_ended_once([*large, *small], listener)

    def test_sigterm_ends_an_idle_pool_and_leaves_no_process(self) -> None:
        members = self.stack.pool.members()
        began = time.monotonic()
        self.stack.pool.terminate()
        self.assertEqual(self.stack.pool.wait(), 0)
        self.assertLess(time.monotonic() - began, 30)
        wait_until(
            lambda: not any(service_process.is_alive(pid) for pid in members), "all of it ends"
        )
        self.stack.pool.start()
        self.stack.wait_ready()

    def test_everything_is_restarted_with_uploads_queued(self) -> None:
        large, small = waiting_behind(self.stack)
        self.stack.restart()
        resources = self.assert_each_ended_once([*large, *small])
        self.assertEqual({each["status"] for each in resources.values()}, {"done"})

    def test_everything_crashes_with_uploads_queued_and_redis_forgets_all(self) -> None:
        large, small = waiting_behind(self.stack)
        self.stack.kill_processes()
        self.stack.redis.kill()
        self.stack.redis.start()
        self.stack.start_processes()
        self.assert_each_ended_once([*large, *small])

    def test_the_backend_is_restarted_while_uploads_come_in(self) -> None:
        answers: list[int] = []
        with Uploads(self.stack) as uploads:
            uploads.wait_for(3)
            self.stack.web.stop()
            self.stack.web.start()
            self.stack.wait_ready()
            answers = uploads.wait_for(len(uploads.ids) + 3)
        self.assertTrue(answers)
        self.assert_each_ended_once(uploads.ids)


class Uploads:
    """A client that uploads one face after the other until the context ends.

    `ids` are what was accepted; an upload whose connection breaks was never promised anything.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ids: list[str] = []
        self.statuses: list[int] = []
        self.slowest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._upload, daemon=True)

    def __enter__(self) -> "Uploads":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def wait_for(self, count: int) -> list[int]:
        """The statuses of all answers, once `count` uploads were accepted."""
        wait_until(lambda: len(self.ids) >= count, f"{count} uploads are accepted")
        return list(self.statuses)

    def _upload(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                response = self.stack.post_image(face())
            except OSError:
                continue
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self.statuses.append(response.status_code)
            if response.status_code == 202:
                self.ids.append(response.json()["id"])


class RedisAwayTests(FaultCase):
    def test_redis_stops_and_starts_during_uploads(self) -> None:
        listener = self.listen()
        with Uploads(self.stack) as uploads:
            uploads.wait_for(2)
            self.stack.redis.stop()
            uploads.wait_for(len(uploads.ids) + 4)
            self.stack.redis.start()
            uploads.wait_for(len(uploads.ids) + 2)
        self.assertEqual(set(uploads.statuses), {202})
        self.assertLess(uploads.slowest_s, 15)
        self.assert_each_ended_once(uploads.ids, listener)

    def test_uploads_are_accepted_promptly_while_redis_is_away(self) -> None:
        self.stack.redis.stop()
        began = time.monotonic()
        ids = [self.stack.upload(face()) for _ in range(3)]
        took_s = time.monotonic() - began
        self.stack.redis.start()
        self.assertLess(took_s, 15)
        self.assert_each_ended_once(ids)

    def test_an_image_that_ends_while_redis_is_away_is_published_later(self) -> None:
        listener = self.listen()
        id = self.stack.upload(phone_photo())
        self.stack.wait_in_work(id)
        self.stack.redis.stop()
        self.stack.wait_ended([id])
        self.stack.redis.start()
        self.assert_each_ended_once([id], listener)

    def test_redis_crashes_and_forgets_all_in_mid_work(self) -> None:
        listener = self.listen()
        large, small = waiting_behind(self.stack)
        self.stack.redis.kill()
        self.stack.redis.start()
        self.assert_each_ended_once([*large, *small], listener)

    def test_redis_hangs_and_uploads_are_still_accepted(self) -> None:
        with self.redis_hanging():
            began = time.monotonic()
            id = self.stack.upload(face())
            took_s = time.monotonic() - began
        self.assertLess(took_s, 15)
        self.assert_each_ended_once([id])

    @contextmanager
    def redis_hanging(self) -> Iterator[None]:
        with self.stack.redis.client() as client:
            client.execute_command("CLIENT", "PAUSE", "60000", "ALL")
        try:
            yield
        finally:
            self.stack.redis.kill()
            self.stack.redis.start()


class RedisEmptiedTests(FaultCase):
    def test_emptied_while_images_wait(self) -> None:
        listener = self.listen()
        large, small = waiting_behind(self.stack)
        self.stack.redis.flush()
        self.assert_each_ended_once([*large, *small], listener)

    def test_emptied_while_an_image_is_in_work(self) -> None:
        listener = self.listen()
        id = self.stack.upload(phone_photo())
        self.stack.wait_in_work(id)
        self.stack.redis.flush()
        resources = self.assert_each_ended_once([id], listener)
        self.assertEqual(resources[id]["attempts"], 1)

    def test_emptied_after_images_ended_their_events_are_there_again(self) -> None:
        listener = self.listen()
        ids = [self.stack.upload(face()) for _ in range(3)]
        self.assert_each_ended_once(ids, listener)
        self.stack.redis.flush()
        self.assert_each_ended_once(ids, listener)

    def test_emptied_again_and_again(self) -> None:
        listener = self.listen()
        ids: list[str] = []
        for _ in range(5):
            ids += [self.stack.upload(face()), self.stack.upload(samples.no_face())]
            self.stack.redis.flush()
        self.assert_each_ended_once(ids, listener)


class FailureTests(FaultCase):
    def test_a_temporary_failure_is_retried_at_doubling_distances_and_then_fails(self) -> None:
        listener = self.listen()
        with self.results_cannot_be_stored():
            id = self.stack.upload(face())
            resources = self.assert_each_ended_once([id], listener)
        self.assertEqual(resources[id]["status"], "failed")
        self.assertEqual(resources[id]["attempts"], 5)
        self.assertIn("several attempts", resources[id]["reason"])
        began, ended = (self.moments(f"{words} submission={id}") for words in (_BEGINS, _AGAIN))
        due = self.moments(f"{_AGAIN} submission={id}", _DUE)
        for each, delay_s in enumerate((0.2, 0.4, 0.8, 1.6)):
            # Computed after the attempt's beginning, and before the line that says so.
            self.assertGreaterEqual(due[each] - began[each], timedelta(seconds=delay_s))
            self.assertLessEqual(due[each] - ended[each], timedelta(seconds=delay_s) + _OF_A_LINE)
            self.assertGreaterEqual(began[each + 1] - due[each], -_OF_A_LINE)
        self.assertEqual((len(began), len(due)), (5, 4))
        (frame,) = [each for each in listener.frames if each["submission_id"] == id]
        self.assertEqual((frame["outcome"], frame["reason"]), ("failed", resources[id]["reason"]))

    def test_a_temporary_failure_that_passes_ends_well(self) -> None:
        with self.results_cannot_be_stored():
            id = self.stack.upload(face())
            wait_until(lambda: attempts(self.stack, id) == 2, "the second attempt")
        resources = self.assert_each_ended_once([id])
        self.assertEqual((resources[id]["status"], resources[id]["reason"]), ("done", None))

    def test_garbage_in_the_file_fails_at_once_with_a_reason(self) -> None:
        resource = self.after_change(lambda file: file.write_bytes(b"not an image any more" * 100))
        self.assertEqual((resource["status"], resource["attempts"]), ("failed", 1))
        self.assertRegex(resource["reason"], r"^[A-Z].*image.*\.$")

    def test_a_file_that_is_gone_fails_at_once_with_a_reason(self) -> None:
        resource = self.after_change(lambda file: file.unlink())
        self.assertEqual((resource["status"], resource["attempts"]), ("failed", 1))
        self.assertEqual(resource["reason"], "The uploaded file is gone.")

    def after_change(self, change: Any) -> dict[str, Any]:
        """How a submission ends whose file is changed while it waits."""
        self.stack.pool.stop()
        id = self.stack.upload(face())
        change(Path(self.stack.storage, "media", self.stack.submissions()[id]["image"]))
        self.stack.pool.start()
        return self.assert_each_ended_once([id])[id]

    def moments(self, words: str, pattern: str = r"^(\S+ \S+)") -> list[datetime]:
        """The moment that `pattern` finds in each line of the pool with these words."""
        lines = [line for line in self.stack.pool.output().splitlines() if words in line]
        found = [re.findall(pattern, line)[0].replace(",", ".") for line in lines]
        return [datetime.fromisoformat(each).replace(tzinfo=None) for each in found]

    @contextmanager
    def results_cannot_be_stored(self) -> Iterator[None]:
        """A file lies where the folder of the results should be, as after a botched copy."""
        folder = self.stack.storage / "media" / "processed_faces"
        aside = folder.with_name("aside")
        folder.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        folder.write_text("in the way")
        try:
            yield
        finally:
            folder.unlink()
            aside.rename(folder)


class SameBytesTests(FaultCase):
    def test_the_same_bytes_many_times_at_once_are_analysed_once(self) -> None:
        listener, image = self.listen(), phone_photo()
        with ThreadPoolExecutor(8) as clients:
            ids = list(clients.map(self.stack.upload, [image] * 12))
        resources = self.assert_each_ended_once(ids, listener)
        self.assertEqual({each["faces_count"] for each in resources.values()}, {2})
        sha256 = self.stack.submissions()[ids[0]]["sha256"]
        rows = self.stack.query("SELECT * FROM analysis_analysis WHERE sha256 = ?", sha256)
        self.assertEqual(len(rows), 1)
        self.assertEqual(self.computed(rows[0]["id"]), 1)
        faces = self.stack.query("SELECT * FROM analysis_face WHERE analysis_id = ?", rows[0]["id"])
        self.assertEqual(len(faces), 2)

    def test_a_worker_that_dies_computing_hands_the_bytes_to_the_one_that_waits(self) -> None:
        image = phone_photo()
        ids = [self.stack.upload(image), self.stack.upload(image)]
        for id in ids:
            self.stack.wait_in_work(id)
        # The worker claims the submission first, and the analysis of its bytes then.
        wait_until(self.kill_a_computing_worker, "an analysis is in work")
        resources = self.assert_each_ended_once(ids)
        self.assertEqual({each["status"] for each in resources.values()}, {"done"})

    def kill_a_computing_worker(self) -> bool:
        """Kill a worker that computes an analysis; False if there is none."""
        rows = self.stack.query("SELECT claimed_by FROM analysis_analysis WHERE claimed_by != ''")
        for row in rows[:1]:
            os.kill(int(row["claimed_by"].rsplit("/", 2)[1]), 9)
        return bool(rows)

    def computed(self, analysis: int) -> int:
        """How often the workers say that they looked for the faces of this analysis."""
        return self.stack.pool.output().count(f"computed analysis={analysis} ")
