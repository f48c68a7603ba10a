from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("submissions", "0002_failed")]

    operations = [
        migrations.RemoveIndex(model_name="submission", name="submission_owner_bytes"),
    ]
