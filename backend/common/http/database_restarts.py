"""Requests that change something wait for a database that is being restarted.

PostgreSQL needs one to three seconds for it, a failover a few more. An upload that waits so long is
accepted; without waiting it would be refused with 503. Once the database has been away for longer
no request waits, so that threads stay free for those who ask how the service is.
"""

import time
from collections.abc import Callable
from typing import Final

from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpRequest, HttpResponse

_PATIENCE_S: Final = 5.0
_POLL_S: Final = 0.1
_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class DatabaseRestartMiddleware:
    """One of a process; its threads share when the database was first missed."""

    def __init__(
        self,
        get_response: Callable[[HttpRequest], HttpResponse],
        database: BaseDatabaseWrapper = connection,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._get_response: Final = get_response
        self._database: Final = database
        self._patience_s: Final = patience_s
        self._away_since: float | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in _CHANGING and self._database.vendor == "postgresql":
            self._wait()
        return self._get_response(request)

    def _wait(self) -> None:
        """Return once there is a connection; without one after `patience_s`."""
        while not self._is_connected():
            now = time.monotonic()
            self._away_since = self._away_since or now
            if now > self._away_since + self._patience_s:
                return
            time.sleep(_POLL_S)
        self._away_since = None

    def _is_connected(self) -> bool:
        try:
            # The check that Django makes before a request's first query; it makes no second one.
            self._database.close_if_health_check_failed()
            self._database.ensure_connection()
        except OperationalError:
            self._database.close()
            return False
        return True
