"""A counter for each model, because encodings of two cannot be averaged: those so far are dlib's."""

from typing import Final

import django.db.models.deletion
from django.db import migrations, models

import backend.face_encodings.models

_DLIB: Final = "dlib_face_recognition_resnet_model_v1"


class Migration(migrations.Migration):
    dependencies = [("face_encodings", "0003_detectors")]

    operations = [
        migrations.AlterField(
            model_name="statisticscounter",
            name="owner",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="clients.client"
            ),
        ),
        migrations.AddField(
            model_name="statisticscounter",
            name="model",
            field=models.CharField(db_default=_DLIB, default=_DLIB, max_length=64),
        ),
        migrations.AlterField(
            model_name="statisticscounter",
            name="sums",
            field=models.BinaryField(
                default=backend.face_encodings.models.no_sums, max_length=8192
            ),
        ),
        migrations.AddConstraint(
            model_name="statisticscounter",
            constraint=models.UniqueConstraint(
                fields=("owner", "model"), name="statistics_counter_by_model"
            ),
        ),
    ]
