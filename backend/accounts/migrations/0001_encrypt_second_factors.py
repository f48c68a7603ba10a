"""Secrets of second factors were stored as they are until here."""

from typing import Any

from django.db import migrations

from backend.accounts.encryption import encrypt_all


def _encrypt(apps: Any, schema_editor: Any) -> None:
    encrypt_all(
        apps.get_model("mfa", "Authenticator").objects.using(schema_editor.connection.alias)
    )


class Migration(migrations.Migration):
    dependencies = [("mfa", "0003_authenticator_type_uniq")]  # noqa: RUF012

    operations = [migrations.RunPython(_encrypt, migrations.RunPython.noop)]  # noqa: RUF012
