from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("submissions", "0002_failed")]

    operations = [
        migrations.RemoveIndex(model_name="submission", name="submission_owner_bytes"),
        migrations.RenameIndex(
            model_name="submission",
            old_name="submission_untold",
            new_name="submission_unpublished",
        ),
    ]
