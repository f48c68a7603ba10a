"""Which endings of submissions have been told about already."""

from collections import OrderedDict


class DeduplicationWindow:
    """The newest endings whose event was fanned out, each with its place in the order.

    After Redis was emptied the workers add recent events again, with new ids: only the submission
    and the time at which it ended report that they are the same.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._places: OrderedDict[str, int] = OrderedDict()
        self.count = 0

    def reserve(self, capacity: int) -> None:
        """Grow to hold at least that many: what is read again as a whole must fit as a whole."""
        self._capacity = max(self._capacity, capacity)

    def sequence_of(self, ending: str) -> int | None:
        """Where in the order it came, counted from 0; None the first time."""
        place = self._places.get(ending)
        if place is not None:
            self._places.move_to_end(ending)
            return place
        self._places[ending] = self.count
        self.count += 1
        if len(self._places) > self._capacity:
            self._places.popitem(last=False)
        return None
