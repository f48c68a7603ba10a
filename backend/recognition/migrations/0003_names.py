"""Fields, indexes and a constraint by the names of the glossary. No row changes."""

from django.db import migrations, models
from django.db.models import Q

OPERATION_UNPUBLISHED = models.Index(
    fields=["processed_at"],
    condition=Q(notify_on_end=True, event_id="", processed_at__isnull=False),
    name="operation_unpublished",
)
GALLERY_INDEXED = models.Index(
    fields=["user", "model"], condition=Q(is_indexed=True), name="gallery_indexed"
)
INDEXED_IS_FACE = models.CheckConstraint(
    condition=Q(is_indexed=False) | Q(is_face=True), name="gallery_face_indexed_is_face"
)


class Migration(migrations.Migration):
    dependencies = [("recognition", "0002_feedback_and_reembedding")]

    operations = [
        migrations.RemoveIndex("operation", "operation_untold"),
        migrations.RemoveIndex("face", "gallery_used"),
        migrations.RemoveConstraint("face", "gallery_face_used_is_face"),
        migrations.RenameField("operation", "awaited_until", "caller_waits_until"),
        migrations.RenameField("operation", "followed", "notify_on_end"),
        migrations.RenameField("face", "used", "is_indexed"),
        migrations.RenameField("otherencoding", "is_matched", "is_active"),
        migrations.AddIndex("operation", OPERATION_UNPUBLISHED),
        migrations.AddIndex("face", GALLERY_INDEXED),
        migrations.AddConstraint("face", INDEXED_IS_FACE),
    ]
