"""The page on which staff makes one-time links: invitations, and links for a forgotten password."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from backend.accounts import links
from backend.accounts.forms import InvitationForm, NewLinkForm
from backend.clients.admin_site import audit


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest) -> HttpResponse:
    """A form for a new user, and one for a user who is here; both show a link once."""
    if not (request.user.is_staff and request.user.has_perm("auth.add_user")):
        raise PermissionDenied
    sent = request.POST if request.method == "POST" else None
    kind = sent.get("kind") if sent else None
    new = InvitationForm(sent if kind == "new" else None, auto_id="new_%s")
    known = NewLinkForm(sent if kind == "known" else None, auto_id="known_%s")
    context: dict[str, Any] = {"new": new, "known": known}
    if kind == "new" and new.is_valid():
        context |= _made(request, "invite user", new.save())
    elif kind == "known" and known.is_valid():
        context |= _made(request, "make password link", known.user)
    context["days"] = settings.PASSWORD_RESET_TIMEOUT // 86_400
    return render(request, "accounts/invite.html", context)


def _made(request: HttpRequest, action: str, user: Any) -> dict[str, Any]:
    if not _may_let_in(request.user, user):
        raise PermissionDenied
    audit(request, action, f"user {user.pk}")
    return {"link": links.to_set_password(user), "invited": user}


def _may_let_in(maker: Any, user: Any) -> bool:
    """A link is as good as the user's password, so it may not lead to more than its maker has."""
    return maker.is_superuser or not (user.is_superuser or user.is_staff)
