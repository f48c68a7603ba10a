"""Renames models, fields, indexes and constraints to standard terms. No row changes."""

from django.db import migrations, models
from django.db.models import Q

_INDEXES = {
    "photo": [("photo_untold", "photo_unrecorded")],
    "reference": [("reference_untold", "reference_unrecorded")],
    "clusteringjob": [
        ("grouping_due", "clustering_job_due"),
        ("grouping_in_work", "clustering_job_in_work"),
    ],
    "matchrejection": [("not_me_on_photo", "match_rejection_on_photo")],
}

_STATUSES = ["queued", "processing", "done", "failed"]

_CONSTRAINTS: list[tuple[str, str, models.BaseConstraint]] = [
    (
        "clusteringjob",
        "grouping_status_known",
        models.CheckConstraint(
            condition=Q(status__in=_STATUSES), name="clustering_job_status_known"
        ),
    ),
    (
        "clusteringjob",
        "grouping_ended_has_time",
        models.CheckConstraint(
            condition=Q(processed_at__isnull=False) | ~Q(status__in=["done", "failed"]),
            name="clustering_job_ended_has_time",
        ),
    ),
    (
        "clusteringjob",
        "grouping_is_one",
        models.CheckConstraint(condition=Q(id=1), name="clustering_job_is_one"),
    ),
    (
        "clusterexclusion",
        "not_person_once",
        models.UniqueConstraint(fields=["face", "person"], name="cluster_exclusion_once"),
    ),
    (
        "manualtag",
        "by_hand_once",
        models.UniqueConstraint(fields=["member", "photo"], name="manual_tag_once"),
    ),
    (
        "matchrejection",
        "not_me_once",
        models.UniqueConstraint(
            fields=["member", "face"],
            condition=Q(face__isnull=False),
            name="match_rejection_once",
        ),
    ),
]

_TO_CLUSTER = models.Index(
    fields=["face"], condition=Q(is_clustered=False), name="unknown_face_to_cluster"
)

_UNKNOWN_FACE = models.CheckConstraint(
    condition=Q(is_pinned=False) | Q(is_clustered=True), name="unknown_face_pinned_is_clustered"
)


class Migration(migrations.Migration):
    dependencies = [("photos", "0005_drop_packed_encodings")]

    operations = [
        migrations.RenameModel("Grouping", "ClusteringJob"),
        migrations.RenameModel("NotPerson", "ClusterExclusion"),
        migrations.RenameModel("ByHand", "ManualTag"),
        migrations.RenameModel("NotMe", "MatchRejection"),
        migrations.AlterModelOptions("manualtag", {}),
        migrations.AlterModelOptions("matchrejection", {}),
        migrations.RemoveConstraint("unknownface", "unknown_face_pinned_is_placed"),
        migrations.RemoveIndex("unknownface", "unknown_face_to_place"),
        migrations.RenameField("unknownface", "pinned", "is_pinned"),
        migrations.RenameField("unknownface", "placed", "is_clustered"),
        migrations.AddConstraint("unknownface", _UNKNOWN_FACE),
        migrations.AddIndex("unknownface", _TO_CLUSTER),
        migrations.RenameField("photo", "made_by", "extractor"),
        migrations.RenameField("reference", "made_by", "extractor"),
        *(
            migrations.RenameIndex(model, new_name=new, old_name=old)
            for model, names in _INDEXES.items()
            for old, new in names
        ),
        *(
            operation
            for model, old, constraint in _CONSTRAINTS
            for operation in (
                migrations.RemoveConstraint(model, old),
                migrations.AddConstraint(model, constraint),
            )
        ),
    ]
