import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import backend.photos.models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("photos", "0002_matches"),
    ]

    operations = [
        migrations.CreateModel(
            name="ArchiveUpload",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("processing", "Processing"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("processed_at", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("claimed_by", models.CharField(blank=True, max_length=200)),
                ("claimed_until", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("key", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "file",
                    models.FileField(
                        blank=True, max_length=200, upload_to=backend.photos.models.archive_path
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=200)),
                ("size_bytes", models.PositiveBigIntegerField(default=0)),
                ("entries_count", models.PositiveIntegerField(default=0)),
                ("entries_seen", models.PositiveIntegerField(default=0)),
                ("photos_added", models.PositiveIntegerField(default=0)),
                ("skipped", models.PositiveIntegerField(default=0)),
                ("report", models.JSONField(blank=True, default=list)),
                (
                    "album",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uploads",
                        to="photos.album",
                    ),
                ),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "queued")),
                        fields=["due_at"],
                        name="archive_upload_due",
                    ),
                    models.Index(
                        condition=models.Q(("status", "processing")),
                        fields=["claimed_until"],
                        name="archive_upload_in_work",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["queued", "processing", "done", "failed"])
                        ),
                        name="archive_upload_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("processed_at__isnull", False),
                            models.Q(("status__in", ["done", "failed"]), _negated=True),
                            _connector="OR",
                        ),
                        name="archive_upload_ended_has_time",
                    ),
                ],
            },
        ),
    ]
