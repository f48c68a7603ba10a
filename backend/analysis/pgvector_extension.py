"""pgvector in the database, for migrations."""

from typing import Any

import pgvector.django
from django.core.management.base import CommandError
from django.db import ProgrammingError
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


class VectorExtension(pgvector.django.VectorExtension):
    """`CREATE EXTENSION vector` where it is not there yet; on PostgreSQL only."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any
    ) -> None:
        try:
            super().database_forwards(app_label, schema_editor, *states)
        except ProgrammingError as error:
            raise CommandError(
                f"The extension pgvector cannot be created: {error}\n"
                "Let an administrator of the database run: CREATE EXTENSION vector;"
            ) from error

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any
    ) -> None:
        """It stays: others may use it."""
