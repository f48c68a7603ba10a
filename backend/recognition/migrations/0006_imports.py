"""Imports of large galleries are operations. No row changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0002_revocation_published"),
        ("recognition", "0005_rejections"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="operation",
            name="operation_kind_known",
        ),
        migrations.AddField(
            model_name="operation",
            name="file_name",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AlterField(
            model_name="operation",
            name="kind",
            field=models.CharField(
                choices=[
                    ("add", "Add"),
                    ("delete", "Delete"),
                    ("delete_contact", "Delete Contact"),
                    ("delete_user", "Delete User"),
                    ("merge", "Merge"),
                    ("move", "Move"),
                    ("rename", "Rename"),
                    ("reject", "Reject"),
                    ("unreject", "Unreject"),
                    ("import", "Import"),
                    ("recognise", "Recognise"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=models.Q(("file_name", ""), _negated=True),
                fields=["file_name"],
                name="operation_with_file",
            ),
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "add",
                            "delete",
                            "delete_contact",
                            "delete_user",
                            "merge",
                            "move",
                            "rename",
                            "reject",
                            "unreject",
                            "import",
                            "recognise",
                        ],
                    )
                ),
                name="operation_kind_known",
            ),
        ),
    ]
