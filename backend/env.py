"""The environment as Django's settings read it: `wire.settings`, with Django's own error.

Settings are read in `backend/settings.py`, one a line, and nowhere else in the Django project.
"""

import os
from typing import Any, Final

import environ
from django.core.exceptions import ImproperlyConfigured

from backend import databases
from wire import environment, service_address
from wire.redis_url import with_password
from wire.settings import Reader

try:
    environment.load()
except environment.SettingsFileError as error:
    raise ImproperlyConfigured(str(error)) from error

_reader: Final = Reader(os.environ, ImproperlyConfigured)
text, words, flag = _reader.text, _reader.words, _reader.flag
number, real, rate = _reader.number, _reader.real, _reader.rate
url, hosts, folder = _reader.url, _reader.hosts, _reader.folder
networks, origins = _reader.networks, _reader.origins


def service(name: str) -> service_address.ServiceAddress:
    """Where clients reach the service; `name` is one of the settings that say it."""
    assert name in ("SERVICE_URL", "FACES_BASE_PATH")
    return service_address.read(_reader)


def postgresql(name: str) -> str:
    """`postgres://user:password@host:port/database`, or empty."""
    value = text(name)
    if value and not databases.is_postgresql(value):
        # Never the value: it holds a password.
        raise ImproperlyConfigured(f"{name} is no address like {databases.FORM}")
    return value


def redis_url(name: str, *, default: str) -> str:
    """The URL of a Redis, with the password from its `password_file`; empty means `default`."""
    return with_password(url(name, schemes=("redis", "rediss", "unix"), default=default))


def email(name: str) -> dict[str, Any]:
    """Django's settings of an address like `smtp+tls://user:password@host:587`.

    Empty: mail would be printed, and none is sent.
    """
    value = text(name) or "consolemail://"
    scheme = value.partition("://")[0]
    if scheme not in ("smtp", "smtps", "smtp+tls", "smtp+ssl", "consolemail"):
        # Never the value: it holds a password.
        raise ImproperlyConfigured(f"{name} must be an address like smtp+tls://user:password@host")
    settings: dict[str, Any] = environ.Env.email_url_config(value)
    return settings
