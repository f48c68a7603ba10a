"""The limit of failed logins with a password, from one address and for one name.

An attempt is counted before it is made, so that many at once are limited too. It counts apart from
the failures until it has ended: good logins that many members make at once behind one address wait
for each other where they reach the limit, and use up nothing of it.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from typing import Any, Final

from redis import RedisError
from rest_framework.request import Request

from backend.clients.limits.throttling import Rate, address
from backend.common import redis_clients
from backend.common.http import admission
from backend.common.normalization import normalized

_PATIENCE_S: Final = 10
"""The longest wait for attempts under way: thirty verifications of 0.5 s on two cores take 8."""
_POLL_S: Final = 0.05
_UNDER_WAY_S: Final = 60
"""After so long an attempt whose process died does not count as under way."""

_MAX_NAME_CHARS: Final = 150
"""Of Django's users: longer names are looked up by no form."""

_BEGUN, _FULL = 0, 2

# The keys are pairs: failures, and attempts under way. Returns 0 if the attempt is counted, 1 if
# those under way must end first, 2 if the failures alone reach the limit.
_BEGIN: Final = """
local answer = 0
for i = 1, #KEYS, 2 do
    local failures = tonumber(redis.call('GET', KEYS[i]) or 0) or 0
    local under_way = tonumber(redis.call('GET', KEYS[i + 1]) or 0) or 0
    if failures >= tonumber(ARGV[1]) then return 2 end
    if failures + under_way >= tonumber(ARGV[1]) then answer = 1 end
end
if answer == 0 then
    for i = 2, #KEYS, 2 do
        if redis.call('INCR', KEYS[i]) == 1 then redis.call('EXPIRE', KEYS[i], ARGV[2]) end
    end
end
return answer
"""
_END: Final = """
for i = 1, #KEYS, 2 do
    if (tonumber(redis.call('GET', KEYS[i + 1]) or 0) or 0) > 0 then
        redis.call('DECR', KEYS[i + 1])
    end
    if ARGV[1] == '0' then
        redis.call('INCR', KEYS[i])
        redis.call('EXPIRE', KEYS[i], ARGV[2])
    end
end
"""


class LoginRate(Rate):
    """`begin` before an attempt, `end` after it; for one attempt an object."""

    name = "logins"
    setting = "FACES_LOGIN_RATE"

    def __init__(self) -> None:
        self._begun: list[str] = []

    def keys(self, request: Request) -> Iterator[str]:
        yield f"address={address(request)}"
        yield self.name_key(request)

    def hit(self, request: Request) -> bool:
        """Count an attempt as failed; whether it was within the limit."""
        if is_within := self.begin(request):
            self.end(has_succeeded=False)
        return is_within

    def begin(self, request: Request) -> bool:
        """Count an attempt before it is made; whether it may be."""
        if (limit := self.limit()) is None:
            return True
        keys = self._pairs(request)
        state = self._try(keys, limit)
        if state not in (_BEGUN, _FULL):
            state = self._begin_after_others(keys, limit)
        return state == _BEGUN

    def end(self, *, has_succeeded: bool) -> None:
        """The attempt that was begun has ended; a failure counts in the window of its begin."""
        if self._begun:
            counted, self._begun = self._begun, []
            self._run(_END, counted, int(has_succeeded), 2 * self.window_s)

    def is_used_up(self, request: Request) -> bool:
        """Whether the failures reach the limit; nothing is counted."""
        return self.is_exceeded(request, size_bytes=0)

    def name_key(self, request: Request) -> str:
        # As the login form looks it up (Django's UsernameField): another spelling is no other user.
        name = normalized("NFKC", self.username(request).strip(), at_most=_MAX_NAME_CHARS)
        # Hashed, because it may be any text; with a lone surrogate too, which UTF-8 does not have.
        return f"name={hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()}"

    def username(self, request: Request) -> str:
        sent = request.POST
        return str(sent.get("login", sent.get("username", "")))

    def _pairs(self, request: Request) -> list[str]:
        """The keys of both scripts."""
        own = list(self.keys(request))
        every = [[self.cache_key(key), f"{self.name}-under-way:{key}"] for key in own]
        return [self.redis_key(key) for pair in every for key in pair]

    def _begin_after_others(self, keys: list[str], limit: int) -> int:
        with admission.blocking_wait_slot() as may_wait:
            state, until = 1, time.monotonic() + _PATIENCE_S
            while may_wait and state not in (_BEGUN, _FULL) and time.monotonic() < until:
                time.sleep(_POLL_S * random.uniform(0.5, 1))
                state = self._try(keys, limit)
        return state

    def _try(self, keys: list[str], limit: int) -> int:
        state = self._run(_BEGIN, keys, limit, _UNDER_WAY_S)
        if state == _BEGUN:
            self._begun = keys
        return state

    def _run(self, script: str, keys: list[str], *arguments: int) -> int:
        """What the script returns; `_BEGUN` without Redis, because then nothing is limited."""
        try:
            found: Any = redis_clients.counters().eval(script, len(keys), *keys, *arguments)
        except RedisError as error:
            self.warn(error)
            return _BEGUN
        return int(found or 0)
