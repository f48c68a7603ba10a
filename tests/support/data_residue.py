"""Is anything left of it? Every table, stored file and key of Redis, searched for given bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy
from django.conf import settings
from django.db import connection
from numpy.typing import ArrayLike

from backend.common import redis_clients

Places = Iterator[tuple[str, bytes]]


def of(encoding: ArrayLike) -> bytes:
    """An encoding as it is found in whatever form it is stored."""
    return numpy.asarray(encoding, "<f4").tobytes()


def found(traces: Mapping[str, bytes]) -> dict[str, list[str]]:
    """By the names of those traces of which something is left: where."""
    places: dict[str, list[str]] = {}
    for where, content in [*_rows(), *_files(), *_keys()]:
        for name, trace in traces.items():
            if trace in content and where not in places.setdefault(name, []):
                places[name].append(where)
    return {name: where for name, where in places.items() if where}


def _rows() -> Places:
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield from ((f"table {table}", content) for content in _values(row))


def _values(values: Iterable[Any]) -> Iterator[bytes]:
    for value in values:
        if isinstance(value, bytes | memoryview):
            yield bytes(value)
        elif value is not None:
            text = value if isinstance(value, str) else str(value)
            yield text.encode()
            if text.startswith("["):
                yield _numbers(text)


def _numbers(text: str) -> bytes:
    """A vector of pgvector's, or numbers in JSON, as an encoding is."""
    try:
        return of(json.loads(text))
    except (ValueError, TypeError):
        return b""


def _files() -> Places:
    root = Path(settings.MEDIA_ROOT)
    for file in root.rglob("*"):
        name = str(file.relative_to(root))
        yield f"file {name}", name.encode() + (file.read_bytes() if file.is_file() else b"")


def _keys() -> Places:
    client = redis_clients.for_rq()
    readers: dict[bytes, Any] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    for key in client.keys("*"):
        kind: Any = client.type(key)
        yield f"Redis {key!r}", f"{key!r} {readers[kind](key)}".encode()
