"""Drops the packed copies of encodings that SQLite had beside the rows, with their triggers."""

from typing import Any

from django.db import migrations

_TRIGGERS = [
    f"photos_{table}_{event}"
    for table in ("photoface", "reference")
    for event in ("inserted", "deleted", "changed")
]


def drop(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for trigger in _TRIGGERS:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        schema_editor.execute("DROP TABLE IF EXISTS photos_encodingblock")


class Migration(migrations.Migration):
    dependencies = [("photos", "0004_indexes_of_photos")]

    operations = [migrations.RunPython(drop, migrations.RunPython.noop)]
