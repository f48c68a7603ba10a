"""Encodings of any size. The index of nearest neighbours goes: nothing has searched this table."""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import backend.analysis.fields


def drop(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS face_nearest")


def limit(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # Django adds a field's check to new columns alone.
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE analysis_face ADD CONSTRAINT analysis_face_encoding_size"
            " CHECK (vector_dims(encoding) BETWEEN 128 AND 1024)"
        )


def unlimit(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "ALTER TABLE analysis_face DROP CONSTRAINT analysis_face_encoding_size"
        )


class Migration(migrations.Migration):
    dependencies = [("analysis", "0007_detected_faces")]

    operations = [
        migrations.RunPython(drop, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="face",
            name="encoding",
            field=backend.analysis.fields.EncodingField(any_size=True, null=True),  # type: ignore[misc]
        ),
        migrations.RunPython(limit, unlimit),
    ]
