"""Deduplication of events that the workers append a second time."""

from collections import OrderedDict


class DeduplicationWindow:
    """The most recently read submissions, each with its time of completion; the oldest is evicted.

    After Redis was emptied the workers append recent events again, with new ids: only the
    submission and its time of completion show that an event is the same.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._completions: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_repeat(self, submission_id: str, processed_at: str) -> bool:
        """Record one completion; return whether it was in the window already."""
        completion = (submission_id, processed_at)
        is_known = completion in self._completions
        self._completions[completion] = None
        self._completions.move_to_end(completion)
        if len(self._completions) > self._size:
            self._completions.popitem(last=False)
        return is_known
