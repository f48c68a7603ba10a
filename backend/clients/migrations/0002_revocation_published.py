"""`revocation_told` → `revocation_published`, and its index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clients", "0001_initial")]

    operations = [
        migrations.RemoveIndex(model_name="apikey", name="key_revocation_untold"),
        migrations.RenameField("apikey", "revocation_told", "revocation_published"),
        migrations.AddIndex(
            model_name="apikey",
            index=models.Index(
                condition=models.Q(("revocation_published", False), ("revoked", True)),
                fields=["revocation_published"],
                name="key_revocation_unpublished",
            ),
        ),
    ]
