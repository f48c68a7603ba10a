"""What clients said of faces: \"not this contact\". No row changes."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0005_detectors"),
        ("clients", "0002_revocation_published"),
        ("recognition", "0004_crops"),
    ]

    operations = [
        migrations.CreateModel(
            name="Rejection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="operation",
            name="operation_kind_known",
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
                    ("recognise", "Recognise"),
                ],
                max_length=16,
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
                            "recognise",
                        ],
                    )
                ),
                name="operation_kind_known",
            ),
        ),
        migrations.AddField(
            model_name="rejection",
            name="contact",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rejections",
                to="recognition.contact",
            ),
        ),
        migrations.AddField(
            model_name="rejection",
            name="face",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="analysis.face"
            ),
        ),
        migrations.AddConstraint(
            model_name="rejection",
            constraint=models.UniqueConstraint(fields=("contact", "face"), name="rejection_once"),
        ),
    ]
