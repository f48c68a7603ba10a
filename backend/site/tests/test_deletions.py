"""Every DELETE of the API, and the pages that erase: what is left in rows, files and Redis."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client as Browser
from django.test import override_settings
from django.utils import timezone

from backend.analysis.models import Analysis, Mark
from backend.analysis.services import client_owner
from backend.clients import erasure
from backend.clients.models import ANONYMOUS_ID, AuditEntry, Client, Scope
from backend.face_encodings.models import EncodedImage
from backend.photos.clustering import curation
from backend.photos.matching import member_photos
from backend.photos.members import consent, retention
from backend.photos.models import (
    Album,
    Like,
    ManualTag,
    Match,
    MatchRejection,
    Member,
    Person,
    Photo,
    PhotoFace,
    Reference,
    RejectedImage,
    UnknownFace,
)
from backend.photos.tests import face_factories, factories
from backend.recognition.models import Distinct, FaceCrop, Operation, Rejection
from backend.recognition.operations import retention as operations
from backend.recognition.tests.base import analysed
from backend.recognition.tests.factories import add, near, person
from backend.recognition.tests.factories import user as gallery_user
from backend.recognition.tests.test_http import HttpCase
from backend.site.tests.test_openapi import document
from backend.submissions import services
from backend.webhooks.models import Delivery
from tests.support import data_residue, image_factories

_API: Final = "/api/v2/photos"
_MEMBER: Final = f"{_API}/facedetection"
_PAGES: Final = "/members/photos"
_USER: Final = "/recognition/users/1"
_AUDIT: Final = "table clients_auditentry"


def _media() -> Path:
    return Path(settings.MEDIA_ROOT)


@dataclass
class Case:
    """A deletion: the request, what it must leave nothing of, and what may stay where."""

    path: str
    traces: dict[str, bytes] = field(default_factory=dict)
    gone: Iterable[Any] = ()
    """Querysets that are not empty before, and are after."""
    left: Mapping[str, list[str]] = field(default_factory=dict)
    audit: str = ""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    browser: Browser | None = None
    """Of a page, which is posted to; None: DELETE."""
    then: Callable[[], Any] = lambda: None


@override_settings(FACES_PHOTOS_EXTRACTION="off", FACES_GROUP_UNKNOWN=True)
class DeletionTests(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        consent.opt_in(factories.member("alice"))
        self.member, self.zoe = Browser(), Browser()
        self.member.force_login(User.objects.get(username="alice"))
        self.zoe.force_login(factories.staff())

    numbers = count(1)

    @property
    def alice(self) -> Member:
        return factories.member("alice")

    def test_each_leaves_nothing_behind(self) -> None:
        described = {
            each["delete"]["operationId"]
            for each in document()["paths"].values()
            if "delete" in each
        }
        pages = {"page_of_album", "page_of_photos", "page_of_reference", "page_of_opting_out"}
        for name in sorted(described | pages):
            with self.subTest(name):
                self.check(getattr(self, name)())

    def check(self, case: Case) -> None:
        self.assertEqual(set(data_residue.found(case.traces)), set(case.traces))
        for rows in case.gone:
            self.assertTrue(rows.all().exists(), rows.query)
        AuditEntry.objects.all().delete()
        self.request(case)
        case.then()
        self.assertEqual(data_residue.found(case.traces), case.left)
        for rows in case.gone:
            self.assertFalse(rows.all().exists(), rows.query)
        noted = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
        self.assertEqual(noted[:1], [case.audit] if case.audit else [])

    def request(self, case: Case) -> None:
        if case.browser is not None and case.path.startswith("/members"):
            answer: Any = case.browser.post(case.path, case.body or {})
            self.assertEqual(answer.status_code, 302, answer.content)
            return
        asked = case.browser or self.client
        data = {"data": case.body, "content_type": "application/json"} if case.body else {}
        answer = asked.delete(case.path, headers=case.headers, **data)
        self.assertIn(answer.status_code, (200, 202, 204), answer.content)
        again = asked.delete(case.path, headers=case.headers, **data)
        self.assertLess(again.status_code, 500)

    # --- images and encodings

    def image(self, encoding: Any, owner: int = ANONYMOUS_ID) -> tuple[str, dict[str, bytes]]:
        """The id of a processed submission, and its traces."""
        data = self.unreferenced(encoding, owner)
        submission = services.accept(ContentFile(data, name="a.png"), owner_id=owner)
        submission.refresh_from_db()
        result = default_storage.open(submission.result.name or "").read()
        id = str(submission.pk)
        # SQLite stores an id without its dashes.
        is_sqlite = connection.vendor == "sqlite"
        digits = {"digits of the id": submission.pk.hex.encode()} if is_sqlite else {}
        return id, digits | {
            "id": id.encode(),
            "hash": submission.sha256.encode(),
            "image": data,
            "result": result,
            "encoding": data_residue.of(encoding),
        }

    def unreferenced(self, encoding: Any, owner: int = ANONYMOUS_ID) -> bytes:
        """An image with this face of the owner's alone, whose analysis no row keeps."""
        before = set(EncodedImage.objects.values_list("pk", flat=True))
        data = analysed(encoding)
        EncodedImage.objects.exclude(pk__in=before).delete()
        copies = Analysis.objects.filter(sha256=hashlib.sha256(data).hexdigest())
        copies.exclude(owner=client_owner(owner)).delete()
        return data

    def image_erase(self) -> Case:
        id, traces = self.image(person())
        return Case(f"/image/{id}/", traces, left={"id": [_AUDIT]}, audit="erase image")

    def image_face_hide(self) -> Case:
        """Hidden it stays, so that it can be shown again, until its image is erased."""
        id, traces = self.image(person())
        self.client.get(f"/image/{id}/faces/")

        def then() -> None:
            self.assertTrue(Mark.objects.exists())
            self.client.delete(f"/image/{id}/")
            self.assertFalse(Mark.objects.exists())

        body, left = {"face": 0}, {"id": [_AUDIT]}
        return Case(
            f"/image/{id}/faces/", traces, left=left, audit="erase image", body=body, then=then
        )

    def encoding_erase(self) -> Case:
        encoding = person()
        data = self.unreferenced(encoding)
        file = ContentFile(data, name="a.png")
        self.assertEqual(
            self.client.post("/generate_face_encoding", {"upload_file": file}).status_code, 200
        )
        sha256 = hashlib.sha256(data).hexdigest()
        traces = {"hash": sha256.encode(), "encoding": data_residue.of(encoding)}
        return Case(f"/face_encoding/{sha256}", traces, audit="erase encoding")

    def client_erase(self) -> Case:
        headers = self.key("erased", *(set(Scope.values) - {Scope.OPERATE}))
        owner = Client.objects.get(name="erased").pk
        _, traces = self.image(person(), owner)
        encoding = person()
        added = self.enrolled("Secret Erased", encoding, owner, headers)
        traces |= {"name": b"Secret Erased", "enrolled": data_residue.of(encoding)}
        traces["crop"] = bytes(FaceCrop.objects.get(face=added["id"]).jpeg)

        def then() -> None:
            while Client.objects.get(pk=owner).erasing_since:
                erasure.run_step()

        audit = "erase client's data"
        return Case("/client/", traces, audit=audit, headers=headers, then=then)

    def webhook_delete(self) -> Case:
        headers = self.key("hooked", *(set(Scope.values) - {Scope.OPERATE}))
        url = "http://127.0.0.1:9/hook?token=secret-webhook"
        wanted = {"url": url, "events": ["submission.ended"]}
        id = self.call("post", "/webhooks/", wanted, **headers).json()["id"]
        about = {"event": "ping", "subject": "none", "subject_id": id, "ended_at": timezone.now()}
        Delivery.objects.create(webhook_id=id, **about)
        gone = [Delivery.objects.all()]
        traces = {"url": b"secret-webhook"}
        return Case(f"/webhooks/{id}/", traces, gone, audit="delete webhook", headers=headers)

    # --- galleries

    def enrolled(
        self,
        name: str,
        encoding: Any,
        owner: int = ANONYMOUS_ID,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """A face of a named contact, with a crop."""
        data, sent = base64.b64encode(self.unreferenced(encoding, owner)).decode(), headers or {}
        number = next(self.numbers)
        face = {"face_id": number, "score": 1, "image": data, "external_id": 712345678}
        contact = f"{_USER}/contacts/{number}/"
        answer = self.call("post", f"{contact}faces/", {"faces": [face]}, **sent)
        (added,) = answer.json()["added"]
        self.assertEqual(self.call("patch", contact, {"name": name}, **sent).status_code, 200)
        jpeg = image_factories.encoded(image_factories.labelled(name, 32, 32))
        FaceCrop.objects.create(face_id=added["id"], jpeg=jpeg)
        return dict(added)

    def gallery(self, path: str, body: Any = None, *, kind: str, has_name: bool = True) -> Case:
        encoding, name = person(), f"Secret {path}"
        added = self.enrolled(name, encoding)

        def recognised() -> list[int]:
            image = base64.b64encode(self.unreferenced(near(encoding, 0.1))).decode()
            found = self.call("post", f"{_USER}/recognize", {"image": image}).json()
            return [each["contact_id"] for each in found]

        self.assertEqual(recognised(), [added["contact_id"]])
        jpeg = bytes(FaceCrop.objects.get(face=added["id"]).jpeg)
        traces = {"encoding": data_residue.of(encoding), "external id": b"712345678", "crop": jpeg}
        if has_name:
            traces["name"] = name.encode()

        def then() -> None:
            past = timezone.now() - 2 * operations.DELETIONS_KEPT
            Operation.objects.filter(kind__startswith="delete").update(processed_at=past)
            operations.delete_old()
            # From the memory of the process too.
            self.assertEqual(recognised(), [])

        filled = path.format(**added)
        data = body(added) if body else None
        return Case(filled, traces, audit=f"recognition: {kind}", body=data, then=then)

    def delete_user(self) -> Case:
        return self.gallery(f"{_USER}/", kind="delete_user")

    def delete_contact(self) -> Case:
        return self.gallery(f"{_USER}/contacts/{{contact_id}}/", kind="delete_contact")

    def delete_face(self) -> Case:
        path = f"{_USER}/contacts/{{contact_id}}/faces/{{face_id}}/"
        return self.gallery(path, kind="delete", has_name=False)

    def delete_faces(self) -> Case:
        path = f"{_USER}/contacts/{{contact_id}}/faces/"

        def body(added: Any) -> Any:
            return {"faces": [{"face_id": added["face_id"]}]}

        return self.gallery(path, body, kind="delete", has_name=False)

    def unreject_candidate(self) -> Case:
        added = self.enrolled("Ann", person())
        id, _ = self.image(person())
        path = f"{_USER}/contacts/{added['contact_id']}/rejections/"
        body = {"submission": id, "face": 0}
        self.assertEqual(self.call("post", path, body).status_code, 200)
        return Case(path, gone=[Rejection.objects.all()], body=body)

    # --- photos of members

    def pictured(self) -> Reference:
        """A reference of Alice's with its files, and another with an encoding and a match."""
        made: Reference = factories.processed(
            factories.reference(self.alice, factories.jpeg(f"Alice {Reference.objects.count()}"))
        )
        return made

    def traces_of(self, source: Any) -> dict[str, bytes]:
        names = [each.relative_to(_media()) for each in _media().rglob(f"*{source.key}*")]
        self.assertTrue(names)
        pictures = {str(each): _media().joinpath(each).read_bytes() for each in names}
        return {"key": str(source.key).encode(), "hash": source.sha256.encode(), **pictures}

    def reference_case(self) -> tuple[Reference, Case]:
        reference = self.pictured()

        def then() -> None:
            """Kept for 180 days (CONTRACT.md), in no answer, and then erased."""
            answer = self.member.get(f"{_MEMBER}/reference-faces/{reference.pk}/")
            self.assertEqual(answer.status_code, 404)
            past = timezone.now() - retention.KEPT_AFTER_MARK - timedelta(days=1)
            Reference.objects.filter(pk=reference.pk).update(marked_for_deletion_at=past)
            self.assertEqual(list(retention.erase_due()), [reference])

        return reference, Case("", self.traces_of(reference), audit="delete reference", then=then)

    def reference_delete(self) -> Case:
        reference, case = self.reference_case()
        case.path, case.browser = f"{_MEMBER}/reference-faces/{reference.pk}/", self.member
        return case

    def page_of_reference(self) -> Case:
        reference, case = self.reference_case()
        case.path = f"{_PAGES}/facedetection/delete/{reference.pk}/"
        case.browser = self.member
        return case

    def everything_of_alice(self) -> Case:
        consent.opt_in(self.alice)
        reference = self.pictured()
        encoding = face_factories.encoding(1, 5)
        face_factories.reference(self.alice, encoding)
        photo, other = (
            face_factories.photo(factories.album(), face_factories.encoding(who)) for who in (1, 2)
        )
        face_factories.match_all()
        member_photos.add_by_hand(self.alice, other)
        self.assertTrue(Match.objects.filter(photo=photo).exists())
        traces = {**self.traces_of(reference), "encoding": data_residue.of(encoding)}
        gone = [Match.objects.all(), ManualTag.objects.all()]
        return Case("", traces, gone, audit="opt out member", browser=self.member)

    def opt_out(self) -> Case:
        case = self.everything_of_alice()
        case.path = f"{_MEMBER}/consent/"
        return case

    def page_of_opting_out(self) -> Case:
        case = self.everything_of_alice()
        case.path = f"{_PAGES}/facedetection/opt-out/"
        return case

    def seen(self) -> Photo:
        """A photo that Alice is on."""
        consent.opt_in(self.alice)
        face_factories.reference(self.alice, face_factories.encoding(1, 9))
        photo = face_factories.photo(factories.album(), face_factories.encoding(1, 1))
        face_factories.match_all()
        self.assertTrue(member_photos.is_on(self.alice, photo))
        return photo

    def off(self, photo: Photo) -> Callable[[], None]:
        return lambda: self.assertFalse(member_photos.is_on(self.alice, photo))

    def i_am_not_on(self) -> Case:
        consent.opt_in(self.alice)
        photo = face_factories.photo(factories.album(), face_factories.encoding(8))
        member_photos.add_by_hand(self.alice, photo)
        gone = [ManualTag.objects.filter(photo=photo)]
        path = f"{_MEMBER}/matches/{photo.pk}/"
        return Case(path, gone=gone, browser=self.member, then=self.off(photo))

    def take_off_photo(self) -> Case:
        photo = self.seen()
        path = f"{_API}/photos/{photo.pk}/members/{self.alice.pk}/"
        return Case(path, browser=self.zoe, then=self.off(photo))

    def undo_not_me(self) -> Case:
        photo = self.seen()
        member_photos.say_not_me(self.alice, photo)
        gone = [
            MatchRejection.objects.filter(photo=photo),
            RejectedImage.objects.filter(sha256=photo.sha256),
        ]
        return Case(f"{_MEMBER}/matches/{photo.pk}/not-me/", gone=gone, browser=self.member)

    def unlike(self) -> Case:
        photo = self.seen()
        Like.objects.create(photo=photo, user_id=self.alice.pk)
        gone = [Like.objects.all()]
        return Case(f"{_API}/photos/{photo.pk}/like/", gone=gone, browser=self.member)

    def disclaim(self) -> Case:
        photo = face_factories.photo(factories.album(), face_factories.encoding(7))
        group = Person.objects.create()
        UnknownFace.objects.filter(face__photo=photo).delete()
        UnknownFace.objects.create(face=photo.faces.get(), person=group, is_clustered=True)
        consent.opt_in(self.alice)
        curation.claim(group, self.alice)
        gone = [Person.objects.filter(pk=group.pk, member=self.alice)]
        return Case(f"{_MEMBER}/people/{group.pk}/claim/", gone=gone, browser=self.member)

    def unset_distinct(self) -> Case:
        of = gallery_user()
        of.exists = True
        of.save()
        body = {"contact_ids": [801, 802]}
        for contact in body["contact_ids"]:
            add(of, contact, [person()])
        self.call("post", f"{_USER}/twins/", body)
        return Case(f"{_USER}/twins/", gone=[Distinct.objects.all()], body=body)

    # --- pages of staff

    def stored_photo(self) -> tuple[Photo, Case]:
        album = factories.album(f"Secret album {Album.objects.count()}")
        photo = factories.processed(
            factories.photo(album, factories.jpeg(f"a photo {album.pk}"), "Secret name.jpg")
        )
        encoding = face_factories.encoding(1, 77)
        PhotoFace.objects.create(
            photo=photo, index=0, top=0, right=2, bottom=2, left=0, encoding=encoding
        )
        traces = {**self.traces_of(photo), "face": data_residue.of(encoding)}
        return photo, Case("", {**traces, "name": b"Secret name"}, browser=self.zoe)

    def page_of_photos(self) -> Case:
        photo, case = self.stored_photo()
        case.path = f"{_PAGES}/albums/{photo.album_id}/choose/"
        case.body, case.audit = {"photo": [photo.pk], "action": "erase"}, "erase photo"
        return case

    def page_of_album(self) -> Case:
        photo, case = self.stored_photo()
        case.path = f"{_PAGES}/albums/{photo.album_id}/delete/"
        case.traces["title"], case.audit = photo.album.title.encode(), "erase album"
        return case
