"""The API of groups of unknown people: for staff, and only where FACES_GROUP_UNKNOWN says so."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.common.http.parsers import JSONParser
from backend.photos import pagination
from backend.photos.access.authentication import MemberView
from backend.photos.access.permissions import keeps_people
from backend.photos.clustering import curation
from backend.photos.models import Member
from backend.photos.people_models import Person
from backend.photos.rest import serializers as shapes
from backend.photos.rest.members import found


class _PeopleView(MemberView):
    staff = dict.fromkeys(("get", "post", "patch"), keeps_people)
    parser_classes = (JSONParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not settings.FACES_GROUP_UNKNOWN:
            raise Http404

    def person(self, pk: str) -> Person:
        person: Person = found(Person.objects.all(), pk)
        return person


class PeopleView(_PeopleView):
    """GET: the groups, the oldest first; `?hidden=true` the hidden ones."""

    def get(self, request: Request) -> Response:
        hidden = request.GET.get("hidden") == "true"
        people = Person.objects.filter(hidden=hidden).annotate(faces_count=Count("faces"))
        page = pagination.page(people, request.GET, order=("pk",))
        return Response(shapes.paged(page, shapes.person, request))


class PersonView(_PeopleView):
    """GET: a group with its faces; PATCH: its name, whether it is hidden."""

    def get(self, request: Request, pk: str) -> Response:
        return Response(shapes.person_in_full(self.person(pk)))

    def patch(self, request: Request, pk: str) -> Response:
        person, sent = self.person(pk), _object(request)
        if "name" in sent:
            curation.name(person, _text(sent, "name"))
        if "hidden" in sent:
            if not isinstance(sent["hidden"], bool):
                raise ValidationError({"hidden": ["Must be true or false."]})
            curation.hide(person, hidden=sent["hidden"])
        return Response(shapes.person(person))


class PersonActionView(_PeopleView):
    """POST: what staff decides about a group; answers with it as it is then."""

    staff = {"post": keeps_people}

    def post(self, request: Request, pk: str, action: str) -> Response:
        person, sent = self.person(pk), _object(request)
        try:
            person = self.act(person, action, sent)
        except curation.Refused as error:
            raise ValidationError({"detail": str(error)}) from error
        person.refresh_from_db()
        return Response(shapes.person(person))

    def act(self, person: Person, action: str, sent: dict[str, Any]) -> Person:
        match action:
            case "merge":
                curation.merge(person, self.person(str(_number(sent, "other"))))
            case "split":
                return curation.split(person, _numbers(sent, "faces"))
            case "take-out":
                if not curation.take_out(person, _number(sent, "face")):
                    raise curation.Refused("This face is not in the group.")
            case "offer":
                curation.offer(person, found(Member.objects.all(), str(_number(sent, "member"))))
            case "confirm":
                if not curation.confirm(person):
                    raise curation.Refused("Nobody has claimed this group.")
            case "disclaim":
                curation.disclaim(person)
        return person


def _object(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise ValidationError({"detail": "Send a JSON object."})
    return request.data


def _text(sent: dict[str, Any], name: str) -> str:
    if not isinstance(sent[name], str) or len(sent[name]) > 100 or "\0" in sent[name]:
        raise ValidationError({name: ["Must be a text of at most 100 characters."]})
    return str(sent[name]).encode(errors="replace").decode()


def _number(sent: dict[str, Any], name: str) -> int:
    return _numbers({name: [sent.get(name)]}, name)[0]


def _numbers(sent: dict[str, Any], name: str) -> list[int]:
    numbers = sent.get(name)
    good = isinstance(numbers, list) and all(
        isinstance(each, int) and not isinstance(each, bool) and 0 < each < 1 << 62
        for each in numbers
    )
    if not good or not isinstance(numbers, list):
        raise ValidationError({name: ["Give the key of each, a whole number."]})
    return numbers
