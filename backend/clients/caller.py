"""Who makes a request: a client, through a key or without one."""

from dataclasses import dataclass
from typing import Final

from rest_framework.request import Request

from backend.clients.models import ANONYMOUS_ID, Scope


@dataclass(frozen=True)
class Caller:
    """`key_prefix` is empty for who came without a key, which only open mode allows."""

    client_id: int
    scopes: frozenset[str]
    key_prefix: str = ""
    by_link: bool = False
    """Holds a signed link to just what is asked for, and is nobody else."""

    @property
    def is_anonymous(self) -> bool:
        return not self.key_prefix

    @property
    def name(self) -> str:
        """For the audit trail."""
        return f"key {self.key_prefix}" if self.key_prefix else "anonymous"

    def may(self, scope: str) -> bool:
        return scope in self.scopes


ANONYMOUS: Final = Caller(
    client_id=ANONYMOUS_ID,
    # Everybody at home shares one space, so nobody may empty all of it.
    scopes=frozenset(Scope.values) - {Scope.ADMIN, Scope.OPERATE},
)


def from_request(request: Request) -> Caller:
    """The caller that the authentication found; every API view has one."""
    assert isinstance(request.auth, Caller)
    return request.auth
