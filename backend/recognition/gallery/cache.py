"""Identifies a probe among one user's contacts, by galleries that each process caches.

Reading 100 000 encodings takes a quarter of a second, comparing them a few milliseconds. A cached
gallery is checked against its user's `gallery_version` before each answer, and only changes are
read again. Deleted faces leave the memory with the next question about their user, and at the
latest two minutes after the last one.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Final

from cachetools import TTLCache
from django.conf import settings
from numpy.typing import ArrayLike

from backend.recognition.contract import MOST
from backend.recognition.gallery import confidence, index
from backend.recognition.gallery.index import Candidate, Gallery, Key
from backend.recognition.models import User

_LOADING_LOCKS: Final = 64

_IDLE_S: Final = 120
"""Seconds that a gallery, with encodings erased since, stays in memory after the last question."""


def identify(
    user: User,
    encoding: ArrayLike,
    *,
    model: str,
    at_most: int = MOST,
    min_confidence: float | None = None,
) -> list[Candidate]:
    """The contacts of `user` that a probe may show, most confident first; none if it is unknown.

    `min_confidence` takes the place of the setting's.
    `model` made the probe's encoding. Raises `OnAnotherModel` if another made the gallery's. Do not
    call it in a transaction that has changed the gallery: a rollback would leave it in the cache.
    """
    return identify_in(gallery_of(user, model), encoding, at_most, min_confidence)


def gallery_of(user: User, model: str) -> Gallery:
    """The gallery as it is now, for several probes. Raises as `identify`."""
    return cache.get((user.pk, model))


def identify_in(
    gallery: Gallery, encoding: ArrayLike, at_most: int, min_confidence: float | None = None
) -> list[Candidate]:
    """As `identify`, in a gallery that was read before."""
    found = gallery.nearest(encoding, at_most=at_most)
    return [each for each in found if not confidence.is_unknown(each.confidence, min_confidence)]


class GalleryCache:
    """Galleries in memory: an LRU cache by bytes, whose entries expire when they are idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # One thread reads a gallery while others wait for it. Users share locks by their hash.
        self._loading = [threading.Lock() for _ in range(_LOADING_LOCKS)]
        self._timer: threading.Timer | None = None
        self.clear()

    def get(self, key: Key) -> Gallery:
        with self._loading[hash(key) % _LOADING_LOCKS]:
            version, gallery = _version(key), self._find(key)
            if gallery is None:
                gallery = index.read(key, version)
            elif gallery.version != version:
                gallery = index.updated(key, version, gallery)
            self._store(key, gallery)
        return gallery

    def cached(self) -> list[Key]:
        """The least recently used first."""
        with self._lock:
            return list(self._galleries)

    def clear(self) -> None:
        """Drop all galleries, and read the settings anew."""
        with self._lock:
            # Expired entries are dropped as often as they expire: together that is the idle time.
            self._idle_s = _IDLE_S / 2
            self._galleries: TTLCache[Key, Gallery] = TTLCache(
                settings.FACES_GALLERY_CACHE_BYTES, self._idle_s, getsizeof=lambda each: each.nbytes
            )

    def _find(self, key: Key) -> Gallery | None:
        with self._lock:
            return self._galleries.get(key)

    def _store(self, key: Key, gallery: Gallery) -> None:
        with self._lock:
            self._galleries.pop(key, None)
            with suppress(ValueError):  # it is larger than the cache
                self._galleries[key] = gallery
            self._expire_later()

    def _expire_later(self) -> None:
        if self._timer is None and self._galleries:
            self._timer = threading.Timer(self._idle_s, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            self._galleries.expire()
            self._timer = None
            self._expire_later()


cache: Final = GalleryCache()


def _version(key: Key) -> int:
    """The user's version; -1 if the user is deleted."""
    versions = User.objects.filter(pk=key[0]).values_list("gallery_version", flat=True)
    return next(iter(versions), -1)
