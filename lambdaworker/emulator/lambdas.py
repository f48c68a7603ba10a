"""The function on its instances: synchronous calls, queued events, retries, dead letters."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable

from lambdaworker.emulator.function import Answer, Function, Invocation
from lambdaworker.emulator.instance import Instance

logger = logging.getLogger(__name__)

DeadLetter = Callable[[Invocation, Answer], None]


class Lambda:
    """The function on all its instances. A queued event is a thread that waits for its turn."""

    def __init__(self, function: Function, *, on_dead_letter: DeadLetter | None = None) -> None:
        self.function = function
        self.instances = [Instance(function) for _ in range(function.instances)]
        self.finished = 0
        """Events that ended well."""
        self._on_dead_letter = on_dead_letter
        self._idle: queue.LifoQueue[Instance] = queue.LifoQueue()
        for instance in self.instances:
            self._idle.put(instance)
        self._queued: set[str] = set()
        self._is_closed = False

    def close(self) -> None:
        """End everything; events that wait are lost."""
        self._is_closed = True
        for instance in self.instances:
            instance.kill()

    def call(self, payload: bytes) -> tuple[Invocation, Answer | None]:
        """Run it now; without an answer if all instances are busy."""
        invocation = Invocation(payload)
        try:
            instance = self._idle.get_nowait()
        except queue.Empty:
            return invocation, None
        return invocation, self._run(instance, invocation)

    def accept(self, payload: bytes) -> Invocation:
        """Run it soon, and again if it fails."""
        invocation = Invocation(payload)
        self._enqueue(invocation, 0.0)
        return invocation

    @property
    def waiting(self) -> int:
        """Calls that run, and events that run, wait, or are to be tried again."""
        return len(self._queued) + len(self.instances) - self._idle.qsize()

    def _enqueue(self, invocation: Invocation, delay_s: float) -> None:
        self._queued.add(invocation.id)
        timer = threading.Timer(delay_s, self._run_event, (invocation,))
        timer.daemon = True
        timer.start()

    def _run_event(self, invocation: Invocation) -> None:
        instance = self._idle.get()
        if self._is_closed:
            return
        self._queued.discard(invocation.id)
        answer = self._run(instance, invocation)
        if not answer.error:
            self.finished += 1
        elif invocation.attempt <= len(self.function.retry_delays_s):
            delay_s = self.function.retry_delays_s[invocation.attempt - 1]
            invocation.attempt += 1
            self._enqueue(invocation, delay_s)
        else:
            # Its payload holds tokens and is not logged.
            logger.error("dead letter %s: %s", invocation.id, _message(answer))
            if self._on_dead_letter is not None:
                self._on_dead_letter(invocation, answer)

    def _run(self, instance: Instance, invocation: Invocation) -> Answer:
        began = time.monotonic()
        try:
            answer = instance.run(invocation)
        finally:
            self._idle.put(instance)
        text = "invocation %s attempt=%d ms=%d %s"
        took_ms = (time.monotonic() - began) * 1000
        error = _message(answer) if answer.error else "succeeded"
        logger.info(text, invocation.id, invocation.attempt, took_ms, error)
        return answer


def _message(answer: Answer) -> str:
    try:
        known = json.loads(answer.body)
        return f"{known.get('errorType')}: {known.get('errorMessage')}"
    except (ValueError, AttributeError):
        return "an error without a message"
