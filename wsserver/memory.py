"""Which submissions have been told about already."""

from collections import OrderedDict


class Remembered:
    """The newest submissions whose event was fanned out, each with its place in the order.

    After Redis was emptied the workers add recent events again, with new ids: only the submission
    tells that they are the same.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._places: OrderedDict[str, int] = OrderedDict()
        self.count = 0

    def reserve(self, capacity: int) -> None:
        """Grow to hold at least that many: what is read again as a whole must fit as a whole."""
        self._capacity = max(self._capacity, capacity)

    def place_of(self, submission_id: str) -> int | None:
        """Where in the order it came, counted from 0; None the first time."""
        place = self._places.get(submission_id)
        if place is not None:
            self._places.move_to_end(submission_id)
            return place
        self._places[submission_id] = self.count
        self.count += 1
        if len(self._places) > self._capacity:
            self._places.popitem(last=False)
        return None
