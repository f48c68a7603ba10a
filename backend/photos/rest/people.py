"""The API of groups of unknown people: for staff, and only with FACES_GROUP_UNKNOWN."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db.models import Count
from django.http import Http404
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from backend.common.http.parsers import JSONParser
from backend.common.openapi import in_path, in_query
from backend.photos import pagination
from backend.photos.access.authentication import MemberView
from backend.photos.access.permissions import can_manage_people
from backend.photos.access.selectors import get_or_404
from backend.photos.clustering import curation
from backend.photos.models import Member, Person
from backend.photos.rest import schema as docs
from backend.photos.rest import serializers as shapes
from backend.photos.rest.base import valid
from backend.photos.rest.schema import PK, endpoint

_NEEDS: Final = {
    "merge": "other",
    "split": "faces",
    "take-out": "face",
    "offer": "member",
    "confirm": "",
    "disclaim": "",
}
"""The field of the body that each action needs."""


class _PeopleView(MemberView):
    staff = dict.fromkeys(("get", "post", "patch"), can_manage_people)
    parser_classes = (JSONParser,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not settings.FACES_GROUP_UNKNOWN:
            raise Http404

    def person(self, pk: str) -> Person:
        person: Person = get_or_404(Person.objects.all(), pk)
        return person


class PeopleView(_PeopleView):
    @docs.page(
        "people",
        shapes.PersonSerializer,
        docs.PERSON,
        in_query("hidden", {"enum": ["true"]}, "The hidden ones."),
    )
    def get(self, request: Request) -> Response:
        """Groups of unknown people, the oldest first, for staff."""
        hidden = request.GET.get("hidden") == "true"
        people = Person.objects.filter(hidden=hidden).annotate(faces_count=Count("faces"))
        page = pagination.page(people, request.GET, order=("pk",))
        return Response(shapes.paged(page, shapes.PersonSerializer, request))


class PersonView(_PeopleView):
    @endpoint("person", PK, shape=shapes.PersonInFullSerializer, example=docs.PERSON_IN_FULL)
    def get(self, request: Request, pk: str) -> Response:
        """A group with its faces, for staff."""
        return Response(shapes.PersonInFullSerializer(self.person(pk)).data)

    @endpoint(
        "person_change",
        PK,
        shape=shapes.PersonSerializer,
        example=docs.PERSON,
        request=docs.json(shapes.PersonSerializer(partial=True), name="Ann"),
        refused="name",
        more=[413, 415],
    )
    def patch(self, request: Request, pk: str) -> Response:
        """Change a group's name, or whether it is hidden, by staff."""
        person = self.person(pk)
        given = valid(shapes.PersonSerializer(person, data=request.data, partial=True))
        if "name" in given:
            curation.name(person, given["name"])
        if "hidden" in given:
            curation.hide(person, hidden=given["hidden"])
        return Response(shapes.PersonSerializer(person).data)


class PersonActionView(_PeopleView):
    @endpoint(
        "person_decide",
        PK,
        in_path("action", {"enum": list(_NEEDS)}, "merge"),
        shape=shapes.PersonSerializer,
        example=docs.PERSON,
        request=docs.json(shapes.DecisionSerializer, other=2),
        refused="other",
        more=[413, 415],
    )
    def post(self, request: Request, pk: str, action: str) -> Response:
        """Decide about a group, by staff; answers with the group as it is then."""
        person = self.person(pk)
        given = valid(shapes.DecisionSerializer(data=request.data))
        if (needed := _NEEDS[action]) and needed not in given:
            raise ValidationError({needed: ["This field is required."]})
        try:
            person = self.act(person, action, given)
        except curation.CurationError as error:
            raise ValidationError({"detail": str(error)}) from error
        person.refresh_from_db()
        return Response(shapes.PersonSerializer(person).data)

    def act(self, person: Person, action: str, given: dict[str, Any]) -> Person:
        match action:
            case "merge":
                curation.merge(person, self.person(str(given["other"])))
            case "split":
                return curation.split(person, given["faces"])
            case "take-out":
                if not curation.take_out(person, given["face"]):
                    raise curation.CurationError("This face is not in the group.")
            case "offer":
                curation.offer(person, get_or_404(Member.objects.all(), str(given["member"])))
            case "confirm":
                if not curation.confirm(person):
                    raise curation.CurationError("No member has claimed this group.")
            case "disclaim":
                curation.disclaim(person)
        return person
