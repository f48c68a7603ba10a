from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PhotosConfig(AppConfig):
    name = "backend.photos"

    def ready(self) -> None:
        post_migrate.connect(_set_up_blocks, sender=self)


def _set_up_blocks(using: str, **kwargs: Any) -> None:
    from backend.photos import blocks

    blocks.set_up(using)
