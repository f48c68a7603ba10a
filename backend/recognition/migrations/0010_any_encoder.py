"""Encodings of any size, with an index of nearest neighbours for each size of a model in use."""

from typing import Any, Final

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import backend.analysis.fields

_SIZES: Final = (128, 512)


def drop_old(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS gallery_face_nearest")


def create_old(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE INDEX gallery_face_nearest ON recognition_face"
            " USING hnsw (encoding vector_l2_ops) WHERE is_indexed"
        )


def _limit(table: str) -> migrations.RunPython:
    """The size of a column without one. Django adds a field's check to new columns alone."""
    name = f"{table}_encoding_size"

    def add(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {name}"
                " CHECK (vector_dims(encoding) BETWEEN 128 AND 1024)"
            )

    def remove(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")

    return migrations.RunPython(add, remove)


def create(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Only pgvector has it, of one size each. Of what is matched alone: it is slow to fill.
    if schema_editor.connection.vendor == "postgresql":
        for size in _SIZES:
            schema_editor.execute(
                f"CREATE INDEX gallery_face_nearest_{size} ON recognition_face"
                f" USING hnsw ((encoding::vector({size})) vector_l2_ops)"
                f" WHERE is_indexed AND vector_dims(encoding) = {size}"
            )


def drop(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for size in _SIZES:
            schema_editor.execute(f"DROP INDEX gallery_face_nearest_{size}")


class Migration(migrations.Migration):
    dependencies = [("recognition", "0009_names_in_the_admin")]

    operations = [
        migrations.RunPython(drop_old, create_old),
        migrations.AlterField(
            model_name="face",
            name="encoding",
            field=backend.analysis.fields.EncodingField(any_size=True, null=True),  # type: ignore[misc]
        ),
        migrations.AlterField(
            model_name="otherencoding",
            name="encoding",
            field=backend.analysis.fields.EncodingField(any_size=True),
        ),
        _limit("recognition_face"),
        _limit("recognition_otherencoding"),
        migrations.RunPython(create, drop),
    ]
