"""URLs of Redis whose password is in a file: `redis://redis:6379/0?password_file=/redis/password`.

In Docker the Redis container makes the password at its first start (`tools/redis_docker.sh`).
Settings and command lines would show it.
"""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

_PARAMETER: Final = "password_file"


def password_file(url: str) -> Path | None:
    """The file that `url` names, if it names one."""
    named = dict(parse_qsl(urlsplit(url).query)).get(_PARAMETER)
    return Path(named) if named else None


def with_password(url: str) -> str:
    """`url` as Redis clients know it, with the password in it.

    Without one while the file is missing, before the first start of that Redis.
    """
    file = password_file(url)
    if file is None:
        return url
    parts = urlsplit(url)
    try:
        password = file.read_text().strip()
    except OSError:
        password = ""
    query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] != _PARAMETER])
    user, _, host = parts.netloc.rpartition("@")
    if password:
        host = f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"
    return parts._replace(netloc=host, query=query).geturl()
