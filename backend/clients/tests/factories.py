"""Clients of the tests: Alice and Bob have keys, Mallory has no valid one."""

from collections.abc import Sequence
from datetime import datetime

from backend.clients import keys
from backend.clients.models import ApiKey, Client, Scope

EVERYTHING = tuple(Scope.values)


def client(name: str) -> Client:
    return Client.objects.get_or_create(name=name)[0]


def key_of(
    name: str, scopes: Sequence[str] = EVERYTHING, *, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key of the client `name`: its row, and its text."""
    return keys.create_key(
        client(name), name=name, scopes=scopes, actor="test", expires_at=expires_at
    )


def headers(name: str, scopes: Sequence[str] = EVERYTHING) -> dict[str, str]:
    """Headers of a request with a new key of the client `name`."""
    return {"authorization": f"Bearer {key_of(name, scopes)[1]}"}
