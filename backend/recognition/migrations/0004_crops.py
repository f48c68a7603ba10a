"""Crops of faces that are enrolled from submissions. No row changes."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("recognition", "0003_names"),
    ]

    operations = [
        migrations.CreateModel(
            name="FaceCrop",
            fields=[
                (
                    "face",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="crop",
                        serialize=False,
                        to="recognition.face",
                    ),
                ),
                ("jpeg", models.BinaryField()),
            ],
        ),
        migrations.AddField(
            model_name="operationimage",
            name="crop",
            field=models.BinaryField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="operationimage",
            name="face_index",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="operationimage",
            name="source_name",
            field=models.CharField(blank=True, max_length=200),
        ),
    ]
