"""System checks: unsafe or incomplete settings, refused at start with a hint."""

import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.urls import URLPattern, URLResolver, get_resolver

SETTINGS: Final = "settings"
"""The tag of checks that look at settings alone: every command has them made."""

_DEFAULT_KEY_PREFIX = "insecure-"


@register(SETTINGS)
def production_is_safe(app_configs: Any, **kwargs: Any) -> list[Error]:
    """faces.E001 to E004, E020, E021 and E023, in `ENVIRONMENT=production` only."""
    if settings.ENVIRONMENT != "production":
        return []
    findings = [
        (
            _is_weak(settings.SECRET_KEY),
            "DJANGO_SECRET_KEY is the default or too short.",
            "Set it to a random text of at least 32 characters, e.g. from `openssl rand -hex 32`.",
            "faces.E001",
        ),
        (
            any(_is_weak(key) for key in settings.SECRET_KEY_FALLBACKS),
            "DJANGO_SECRET_KEY_FALLBACKS has the default, or a key that is too short.",
            "Remove it: `manage.py encrypt_second_factors` in development needs it no more.",
            "faces.E023",
        ),
        (
            settings.DEBUG,
            "DJANGO_DEBUG is on: error pages would show settings and code.",
            "Set DJANGO_DEBUG=false.",
            "faces.E002",
        ),
        (
            "*" in settings.ALLOWED_HOSTS or not settings.ALLOWED_HOSTS,
            "DJANGO_ALLOWED_HOSTS accepts any host name, or none.",
            "Set DJANGO_ALLOWED_HOSTS to the names in SERVICE_URL, separated by commas.",
            "faces.E003",
        ),
        (
            not settings.FACES_REQUIRE_API_KEY,
            "FACES_REQUIRE_API_KEY is off: every client would see all images.",
            "Set FACES_REQUIRE_API_KEY=true and make keys with `manage.py create_api_key NAME`.",
            "faces.E004",
        ),
        (
            not settings.FACES_TRUSTED_PROXIES,
            "FACES_TRUSTED_PROXIES does not say whether a proxy is in front of Faces.",
            "List the addresses of the proxies (127.0.0.1: on this machine), or set it to none.",
            "faces.E020",
        ),
        (
            not settings.SERVICE_URL.startswith("https://"),
            "SERVICE_URL is http: images, keys and passwords would travel in the open.",
            "Put TLS in front of Faces and set SERVICE_URL to its https address.",
            "faces.E021",
        ),
    ]
    return [Error(text, hint=hint, id=id) for wrong, text, hint, id in findings if wrong]


def _is_weak(key: str) -> bool:
    return key.startswith(_DEFAULT_KEY_PREFIX) or len(key) < 32


@register(SETTINGS)
def base_path_is_free(app_configs: Any, **kwargs: Any) -> list[Error]:
    """faces.E022: nginx could not distinguish the path from our own where a proxy strips it."""
    first = settings.FACES_BASE_PATH.strip("/").partition("/")[0]
    if not first or first not in {"assets", *_first_names(get_resolver().url_patterns)}:
        return []
    text = f"FACES_BASE_PATH, or the path of SERVICE_URL, begins with /{first}, which the API uses."
    return [Error(text, hint="Take another name, for example /faces-app.", id="faces.E022")]


def _first_names(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[str]:
    """The first name in the path of each URL of the service."""
    for each in patterns:
        route = str(each.pattern).lstrip("^")
        if match := re.match(r"[A-Za-z0-9_.-]+", route):
            yield match[0]
        elif isinstance(each, URLResolver):
            yield from _first_names(each.url_patterns)


@register(SETTINGS)
def s3_is_whole(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """faces.E006, E007, E009, W001: half a configuration would fail at the first image."""
    key = (settings.AWS_ACCESS_KEY_ID, settings.AWS_SECRET_ACCESS_KEY)
    endpoint = settings.AWS_ENDPOINT_URL_S3
    findings = [
        (
            bool(settings.FACES_S3_BUCKET) and not settings.AWS_DEFAULT_REGION,
            "AWS_DEFAULT_REGION is empty.",
            "Set it to the bucket's region; a service that knows none takes us-east-1.",
            "faces.E006",
        ),
        (
            any(key) != all(key),
            "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY one is empty.",
            "Set both, or neither: then the role of the machine counts.",
            "faces.E007",
        ),
        (
            bool(endpoint) and not endpoint.startswith(("http://", "https://")),
            "AWS_ENDPOINT_URL_S3 is no address.",
            "It should look like https://minio.example; empty, it is AWS.",
            "faces.E009",
        ),
    ]
    found: list[CheckMessage] = [
        Error(text, hint=hint, id=id) for wrong, text, hint, id in findings if wrong
    ]
    if settings.ENVIRONMENT == "production" and endpoint.startswith("http://"):
        open_text = "AWS_ENDPOINT_URL_S3 is http: images travel in the open."
        found.append(Warning(open_text, hint="Use https outside of one machine.", id="faces.W001"))
    return found


@register(SETTINGS)
def lambda_is_whole(app_configs: Any, **kwargs: Any) -> list[Error]:
    """faces.E010 and E012: photos would wait for ever, or travel unencrypted."""
    arn, service = settings.FACEDETECTION_LAMBDA_ARN, settings.FACEDETECTION_API_URL
    is_aws = bool(arn) and not settings.AWS_ENDPOINT_URL_LAMBDA
    findings = [
        (
            settings.FACES_PHOTOS_EXTRACTION == "lambda" and not arn,
            "FACES_PHOTOS_EXTRACTION is lambda, but FACEDETECTION_LAMBDA_ARN names no function.",
            "Name it, or set FACES_PHOTOS_EXTRACTION=auto.",
            "faces.E010",
        ),
        (
            settings.ENVIRONMENT == "production" and is_aws and service.startswith("http://"),
            "FACEDETECTION_API_URL is http: photos and tokens would travel in the open.",
            "Set it, or SERVICE_URL, to an https address that AWS reaches.",
            "faces.E012",
        ),
    ]
    return [Error(text, hint=hint, id=id) for wrong, text, hint, id in findings if wrong]


@register(SETTINGS)
def aws_is_installed(app_configs: Any, **kwargs: Any) -> list[Error]:
    """faces.E013: the image leaves AWS's libraries out unless it is built with them."""
    if not (settings.FACES_S3_BUCKET or settings.FACEDETECTION_LAMBDA_ARN) or find_spec("boto3"):
        return []
    text = "FACES_S3_BUCKET or FACEDETECTION_LAMBDA_ARN is set, but boto3 is not installed."
    hint = "Build the image with FACES_IMAGE_AWS=yes, or install requirements/aws.txt."
    return [Error(text, hint=hint, id="faces.E013")]
