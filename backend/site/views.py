"""The page at `/`, on which everything can be tried."""

import time
from typing import Any, Final

from django.conf import settings

from backend.common.http.security_headers import Page
from backend.common.http.service_url import service_url

# Named here, so that the browser asks for all of them at once and not for one after the other.
MODULES: Final = (
    "api", "camera", "compare", "dom", "faces", "feed", "key", "live", "look_up", "picture",
    "progress", "row", "stage", "thumbnails", "transfer", "uploads", "viewer",
)  # fmt: skip


class HomeView(Page):
    template_name = "site/page.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            closed=settings.FACES_REQUIRE_API_KEY,
            max_bytes=settings.FACES_MAX_UPLOAD_BYTES,
            # The page subscribes from this time on: the clock of the browser may be wrong.
            now_ms=round(time.time() * 1000),
            service_url=service_url(),
            modules=[f"site/page/{name}.js" for name in MODULES],
            **kwargs,
        )
