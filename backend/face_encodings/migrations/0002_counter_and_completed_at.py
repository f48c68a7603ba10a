"""One counter row a client instead of tallies; `settled_at` is `completed_at`."""

from typing import Any

import django.db.models.deletion
import numpy
from django.db import DEFAULT_DB_ALIAS, migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Q

import backend.face_encodings.models


def sum_up(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The counter of a client is the sum of its tallies."""
    if schema_editor.connection.alias != DEFAULT_DB_ALIAS:
        return  # the empty target of `move_database`
    Tally = apps.get_model("face_encodings", "Tally")
    Counter = apps.get_model("face_encodings", "StatisticsCounter")
    for owner_id in Tally.objects.order_by().values_list("owner_id", flat=True).distinct():
        images, sums = 0, numpy.zeros(128, "<i8")
        rows = Tally.objects.filter(owner_id=owner_id).values_list("images", "sums")
        for more, added in rows.iterator():
            images, sums = images + more, sums + numpy.frombuffer(added, "<i8")
        Counter.objects.create(owner_id=owner_id, images=images, sums=sums.tobytes())


class Migration(migrations.Migration):
    dependencies = [
        ("clients", "0001_initial"),
        ("face_encodings", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="StatisticsCounter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("images", models.BigIntegerField(default=0)),
                (
                    "sums",
                    models.BinaryField(
                        default=backend.face_encodings.models.no_sums, max_length=1024
                    ),
                ),
                (
                    "owner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="clients.client",
                    ),
                ),
            ],
        ),
        migrations.RunPython(sum_up, migrations.RunPython.noop),
        migrations.DeleteModel(name="Tally"),
        migrations.RemoveConstraint("encodedimage", "encoded_image_settled_has_analysis"),
        migrations.RemoveIndex("encodedimage", "encoded_image_unsettled"),
        migrations.RemoveIndex("encodedimage", "encoded_image_pending"),
        migrations.RenameField("encodedimage", "settled_at", "completed_at"),
        migrations.AddConstraint(
            model_name="encodedimage",
            constraint=models.CheckConstraint(
                condition=Q(completed_at=None) | Q(analysis__isnull=False),
                name="encoded_image_completed_has_analysis",
            ),
        ),
        migrations.AddIndex(
            model_name="encodedimage",
            index=models.Index(
                fields=["created_at"],
                condition=Q(completed_at=None),
                name="encoded_image_open",
            ),
        ),
        migrations.AddIndex(
            model_name="encodedimage",
            index=models.Index(
                fields=["owner"], condition=Q(completed_at=None), name="encoded_image_pending"
            ),
        ),
    ]
