"""Several instances, who waits for one, and what is tried again."""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lambdaworker.emulator.function import Answer, Function, Invocation
from lambdaworker.emulator.instance import Instance

logger = logging.getLogger(__name__)

DeadLetter = Callable[[Invocation, Answer], None]


@dataclass(order=True)
class _Waiting:
    due: float
    number: int
    invocation: Invocation = field(compare=False)


class Lambda:
    """The function on all its instances."""

    def __init__(self, function: Function, *, on_dead_letter: DeadLetter | None = None) -> None:
        self.function = function
        self._on_dead_letter = on_dead_letter
        self.instances = [Instance(function) for _ in range(function.instances)]
        self._idle = list(self.instances)
        self._events: list[_Waiting] = []
        self._changed = threading.Condition()
        self._number = 0
        self._is_over = False
        self.dead_letters = 0
        self.finished = 0
        """Events that ended well."""

    def start(self) -> None:
        """Work on events, in a thread."""
        threading.Thread(target=self._work, daemon=True).start()

    def close(self) -> None:
        """End everything; events that wait are lost."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for instance in self.instances:
            instance.kill()

    def call(self, payload: bytes) -> tuple[Invocation, Answer | None]:
        """Run it now; without an answer if all instances are busy."""
        invocation = Invocation(payload)
        with self._changed:
            instance = self._idle.pop() if self._idle else None
        if instance is None:
            return invocation, None
        return invocation, self._run(instance, invocation)

    def accept(self, payload: bytes) -> Invocation:
        """Run it soon, and again if it fails."""
        invocation = Invocation(payload)
        self._put(invocation, 0.0)
        return invocation

    @property
    def waiting(self) -> int:
        """Events that are not through: waiting, running, or to be tried again."""
        with self._changed:
            return len(self._events) + len(self.instances) - len(self._idle)

    def _put(self, invocation: Invocation, delay_s: float) -> None:
        with self._changed:
            self._number += 1
            heapq.heappush(
                self._events, _Waiting(time.monotonic() + delay_s, self._number, invocation)
            )
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._is_over and not (self._idle and self._is_due()):
                    self._changed.wait(self._wait_s())
                if self._is_over:
                    return
                instance, event = self._idle.pop(), heapq.heappop(self._events).invocation
            threading.Thread(target=self._run_event, args=(instance, event), daemon=True).start()

    def _is_due(self) -> bool:
        return bool(self._events) and self._events[0].due <= time.monotonic()

    def _wait_s(self) -> float | None:
        if not self._idle or not self._events:
            return None
        return max(0.0, self._events[0].due - time.monotonic())

    def _run(self, instance: Instance, invocation: Invocation) -> Answer:
        began = time.monotonic()
        try:
            answer = instance.run(invocation)
        finally:
            with self._changed:
                self._idle.append(instance)
                self._changed.notify_all()
        text = "invocation %s attempt=%d ms=%d %s"
        took_ms = (time.monotonic() - began) * 1000
        error = _message(answer) if answer.error else "succeeded"
        logger.info(text, invocation.id, invocation.attempt, took_ms, error)
        return answer

    def _run_event(self, instance: Instance, invocation: Invocation) -> None:
        answer = self._run(instance, invocation)
        if not answer.error:
            self.finished += 1
        elif invocation.attempt <= len(self.function.retry_delays_s):
            delay_s = self.function.retry_delays_s[invocation.attempt - 1]
            invocation.attempt += 1
            self._put(invocation, delay_s)
        else:
            self.dead_letters += 1
            # Its payload holds tokens: those go nowhere but to who asked for them.
            logger.error("dead letter %s: %s", invocation.id, _message(answer))
            if self._on_dead_letter is not None:
                self._on_dead_letter(invocation, answer)


def _message(answer: Answer) -> str:
    try:
        known = json.loads(answer.body)
        return f"{known.get('errorType')}: {known.get('errorMessage')}"
    except (ValueError, AttributeError):
        return "an error without a message"
