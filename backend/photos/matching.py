"""Which photos a member is on: pairs of a face and a reference that are near each other."""

from backend.photos.models import Member, Photo, Reference


def photo_recorded(photo: Photo) -> None:
    """The faces of `photo` are there. Called once, in the transaction that wrote them."""


def reference_recorded(reference: Reference) -> None:
    """The encoding of `reference` is there. Called once, in the transaction that wrote it."""


def erase_member(member: Member) -> None:
    """Away with all that says where `member` is, besides what goes with the references."""
