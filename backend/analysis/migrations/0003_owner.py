"""An analysis belongs to its owner: one that several owners refer to becomes one for each."""

from collections.abc import Iterator
from typing import Any

from django.db import DEFAULT_DB_ALIAS, migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Exists, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Concat

_KEY = ("owner", "sha256", "detector", "detection_pixels", "model")
_REFERRERS = (
    ("submissions", "Submission"),
    ("face_encodings", "EncodedImage"),
    ("recognition", "OperationImage"),
)


def assign_owners(apps: Any, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    """The first owner keeps the row, every other one gets a copy with its faces.

    An analysis without a referrer keeps no owner: nothing finds it, and retention deletes it.
    """
    if schema_editor is not None and schema_editor.connection.alias != DEFAULT_DB_ALIAS:
        return  # the empty target of `move_database`
    Analysis = apps.get_model("analysis", "Analysis")
    for rows in _referrers(apps):
        refers = rows.filter(analysis=OuterRef("pk"))
        unowned = Analysis.objects.filter(Exists(refers), owner="")
        unowned.update(owner=Subquery(refers.order_by("pk").values("whose")[:1]))
    for rows in _referrers(apps):
        others = rows.exclude(analysis=None).exclude(analysis__owner=models.F("whose"))
        for row in others.order_by("pk").iterator():
            copy = _copy_for(apps, row.analysis_id, row.whose)
            type(row)._base_manager.filter(pk=row.pk).update(analysis_id=copy)
    if schema_editor is not None and schema_editor.connection.vendor == "postgresql":
        # A table with unchecked references cannot be altered, as the next operation does.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _referrers(apps: Any) -> Iterator[Any]:
    """The rows of each app that refer to an analysis, with the owner as `whose`."""
    for app, name in _REFERRERS:
        owner = "operation__owner_id" if name == "OperationImage" else "owner_id"
        whose = Concat(Value("client:"), Cast(owner, models.CharField(max_length=20)))
        yield apps.get_model(app, name)._base_manager.annotate(whose=whose)


def _copy_for(apps: Any, analysis_id: int, owner: str) -> int | None:
    """None for an analysis that has not ended: its bytes stay with the first owner."""
    Analysis, Face = apps.get_model("analysis", "Analysis"), apps.get_model("analysis", "Face")
    original = Analysis.objects.get(pk=analysis_id)
    if original.status not in ("done", "failed"):
        return None
    fields = [field.attname for field in Analysis._meta.concrete_fields if not field.primary_key]
    values = {name: getattr(original, name) for name in fields} | {"owner": owner, "source": ""}
    key = {name: values.pop(name) for name in _KEY}
    copy, is_new = Analysis.objects.get_or_create(**key, defaults=values)
    if is_new:
        faces = list(Face._base_manager.filter(analysis_id=analysis_id))
        for face in faces:
            face.pk, face.analysis_id = None, copy.pk
        Face._base_manager.bulk_create(faces)
    return int(copy.pk)


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0002_nearest_faces"),
        ("submissions", "0002_failed"),
        ("face_encodings", "0001_initial"),
        ("recognition", "0002_feedback_and_reembedding"),
    ]

    operations = [
        migrations.AddField(
            model_name="analysis",
            name="owner",
            field=models.CharField(default="", max_length=40),
            preserve_default=False,
        ),
        migrations.RemoveConstraint(model_name="analysis", name="analysis_once"),
        migrations.RunPython(assign_owners, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="analysis",
            constraint=models.UniqueConstraint(
                fields=_KEY,
                name="analysis_once",
            ),
        ),
    ]
