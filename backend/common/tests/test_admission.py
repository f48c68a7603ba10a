"""Admission control: how many requests run, and how many may wait."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import SimpleTestCase

from backend.common.http import admission

_TIMEOUT_S = 20


class AdmissionTests(SimpleTestCase):
    def test_a_request_beyond_the_bound_runs_when_another_one_waits(self) -> None:
        running = threading.Semaphore(0)
        may_wait, may_end = threading.Event(), threading.Event()

        def get_response(request: HttpRequest) -> HttpResponse:
            running.release()
            may_wait.wait(_TIMEOUT_S)
            with admission.blocking_wait_slot():
                may_end.wait(_TIMEOUT_S)
            return HttpResponse()

        middleware = admission.ConcurrencyLimitMiddleware(get_response)
        with ThreadPoolExecutor(admission.MAX_RUNNING + 1) as callers:
            for _ in range(admission.MAX_RUNNING + 1):
                callers.submit(middleware, HttpRequest())
            for _ in range(admission.MAX_RUNNING):
                self.assertTrue(running.acquire(timeout=_TIMEOUT_S))
            self.assertFalse(running.acquire(timeout=0.1))
            may_wait.set()
            self.assertTrue(running.acquire(timeout=_TIMEOUT_S))
            may_end.set()

    def test_no_more_may_wait_than_three_quarters_of_the_threads(self) -> None:
        admission._wait_slots.cache_clear()
        self.addCleanup(admission._wait_slots.cache_clear)
        threads = settings.FACES_WEB_THREADS
        with ExitStack() as stack:
            waiting = [stack.enter_context(admission.blocking_wait_slot()) for _ in range(threads)]
        self.assertEqual(sum(waiting), threads * 3 // 4)
        with admission.blocking_wait_slot() as may_wait:
            self.assertTrue(may_wait)
