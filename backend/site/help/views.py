"""The documentation at `/help/`."""

from __future__ import annotations

import mimetypes
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from backend.common.http.security_headers import Page
from backend.site.help import pages


class HelpView(Page):
    """A page of `docs/`; without a name its index."""

    template_name = "site/help.html"

    def get_context_data(self, name: str = pages.INDEX, **kwargs: Any) -> dict[str, Any]:
        found = pages.page(name)
        if found is None:
            raise Http404
        return super().get_context_data(**pages.context(found), **kwargs)


def picture(request: HttpRequest, name: str) -> HttpResponse:
    """A picture that a page shows."""
    if name not in pages.pictures():
        raise Http404
    content = (pages.DOCS / "pictures" / name).read_bytes()
    kind, _ = mimetypes.guess_type(name)
    headers = {"Cache-Control": "public, max-age=3600"}
    return HttpResponse(content, content_type=kind, headers=headers)
