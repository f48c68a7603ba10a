"""The pages of a member: photos of me, reference faces, opting out."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.files.base import File
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework.exceptions import ValidationError

from backend.photos import pagination, status
from backend.photos.access.audited import note
from backend.photos.access.selectors import get_or_404
from backend.photos.clustering import curation
from backend.photos.extraction import backends
from backend.photos.files import media_links, storage
from backend.photos.forms import ConsentForm, DetectorForm
from backend.photos.matching import member_photos
from backend.photos.members import consent, references
from backend.photos.models import Extraction, Reference
from backend.photos.web import crops, tiles
from backend.photos.web.base import back, for_members, refusal_of_upload, show, whole_number

_TAKEN_OFF: Final = 60


@for_members("GET", "HEAD")
def you(request: HttpRequest) -> HttpResponseBase:
    member = consent.member_of(request.user)
    photos = member_photos.photos_of(member)
    try:
        page = pagination.page(photos, request.GET, order=pagination.NEWEST_PHOTOS, count_with=True)
    except ValidationError:
        return redirect("you-page")
    context = {
        "rows": tiles.by_album(page.rows),
        "page": page,
        "status": status.member_status(member, photos_count=page.count),
        "taken_off": len(member_photos.taken_off(member, _TAKEN_OFF)),
        "takes_part": member.takes_part,
        "has_references": references.references_of(member).exists(),
        "offers": curation.claimable_by(member).filter(member=member, agreed_at=None),
    }
    return show(request, "photos/you.html", context)


@for_members("GET", "HEAD")
def taken_off(request: HttpRequest) -> HttpResponseBase:
    photos = member_photos.taken_off(consent.member_of(request.user), _TAKEN_OFF)
    return show(request, "photos/taken_off.html", {"tiles": tiles.numbered(photos)})


@for_members("GET", "HEAD")
def reference_list(request: HttpRequest) -> HttpResponseBase:
    member = consent.member_of(request.user)
    rows = references.references_of(member)
    context = {
        "references": [_shown(each) for each in rows],
        "status": status.member_status(member),
        "takes_part": member.takes_part,
        "most": references.MAX_REFERENCES,
    }
    return show(request, "photos/references.html", context)


@for_members("GET", "HEAD", "POST")
def upload(request: HttpRequest) -> HttpResponseBase:
    member = consent.member_of(request.user)
    asks = not member.takes_part
    elsewhere = backends.mode() is backends.Mode.LAMBDA
    errors: list[str] = []
    if request.method == "POST":
        if refusal := refusal_of_upload(request):
            return refusal
        taken, errors = _taken_in(request, asks=asks)
        if taken:
            _report(request, taken, errors)
            return redirect("references-page")
    context = {
        "asks": asks,
        "agreed": "agree" in request.POST,
        "choice": DetectorForm(request.POST or None),
        "most": references.MAX_REFERENCES,
        "elsewhere": elsewhere,
        "errors": errors,
    }
    return show(request, "photos/upload.html", context, 400 if errors else 200)


@for_members("GET", "HEAD", "POST")
def delete(request: HttpRequest, pk: str) -> HttpResponseBase:
    reference = get_or_404(references.references_of(consent.member_of(request.user)), pk)
    if request.method == "POST":
        note(request, "delete", reference)
        references.mark_for_deletion(reference)
        messages.success(request, "The reference face is deleted, and its photos are hidden.")
        return redirect("references-page")
    return show(request, "photos/delete.html", {"reference": _shown(reference)})


@for_members("GET", "HEAD", "POST")
def which(request: HttpRequest, pk: str) -> HttpResponseBase:
    """Of a picture with several faces: which is the member's?"""
    reference = _of_several(request, pk)
    if request.method == "POST":
        face = whole_number(request.POST.get("face", ""), digits=4)
        try:
            if face is None or not references.choose(reference, face):
                messages.error(request, "Choose one of the faces.")
        except storage.UploadRejected as error:
            messages.error(request, str(error))
        return redirect("references-page")
    faces = range(1, len(reference.boxes) + 1)
    return show(request, "photos/which.html", {"reference": reference, "faces": faces})


@for_members("GET", "HEAD")
def reference_crop(request: HttpRequest, pk: str, face: str) -> HttpResponseBase:
    """One of the faces to choose from, cut out for each answer and kept nowhere."""
    reference = _of_several(request, pk)
    if int(face) >= len(reference.boxes):
        raise Http404
    return crops.cut(request, reference, reference.boxes[int(face)])


def _of_several(request: HttpRequest, pk: str) -> Reference:
    """A reference of the member's that waits for a choice; 404 for any other."""
    mine = references.references_of(consent.member_of(request.user))
    reference: Reference = get_or_404(mine.filter(extraction=Extraction.REJECTED), pk)
    if not reference.boxes:
        raise Http404
    return reference


@for_members("GET", "HEAD", "POST")
def opt_out(request: HttpRequest) -> HttpResponseBase:
    if request.method == "POST":
        member = consent.member_of(request.user)
        note(request, "opt out", member)
        consent.opt_out(member)
        messages.success(request, "You have opted out, and everything about your face is erased.")
        return redirect("references-page")
    return show(request, "photos/opt_out.html", {})


@for_members("POST")
def claim(request: HttpRequest, pk: str) -> HttpResponseBase:
    member = consent.member_of(request.user)
    person = get_or_404(curation.claimable_by(member), pk)
    if "no" in request.POST:
        if person.member_id == member.pk:
            curation.disclaim(person)
        return back(request, reverse("you-page"))
    try:
        if not curation.agree(person, member):
            curation.claim(person, member)
            messages.success(request, "Thank you. The photos are yours when staff confirms it.")
    except curation.CurationError as error:
        messages.error(request, str(error))
    return back(request, reverse("you-page"))


def _shown(reference: Reference) -> dict[str, Any]:
    picture = media_links.reference_path(reference) if reference.file else ""
    return {"row": reference, "picture": picture}


def _report(request: HttpRequest, taken: int, errors: list[str]) -> None:
    """What came of the files of a form, of which at least one was taken."""
    if taken + len(errors) > 1:
        refused = f", {len(errors)} refused" if errors else ""
        messages.success(request, f"{taken} taken{refused}.")
    for error in errors:
        messages.error(request, error)


def _taken_in(request: HttpRequest, *, asks: bool) -> tuple[int, list[str]]:
    """Add the references of the form; returns how many, and the errors as sentences."""
    form = ConsentForm(request.POST)
    if asks and not form.is_valid():
        return 0, [str(error) for error in form.errors.get("agree", [])]
    files = request.FILES.getlist("file")
    if not files:
        return 0, ["Choose a picture of your face."]
    choice = DetectorForm(request.POST)
    if errors := choice.errors_as_sentences():
        return 0, errors
    detector = choice.cleaned_data["detector"]
    errors = [error for file in files if (error := _added(request, file, detector))]
    return len(files) - len(errors), errors


def _added(request: HttpRequest, file: File[Any], detector: str) -> str:
    name = file.name or ""
    if references.is_known(consent.member_of(request.user), file):
        return f"{name}: {references.KNOWN}"
    try:
        references.add(consent.member_of(request.user), file, name=name, detector=detector)
    except storage.UploadRejected as error:
        return f"{name}: {error}"
    return ""
