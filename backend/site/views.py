"""The page at `/`, on which everything can be tried, and the one at `/people/`."""

import time
from collections.abc import Sequence
from typing import Any, Final

from django.conf import settings

from backend.analysis import services as analysis
from backend.common.http.security_headers import Page
from backend.common.http.service_url import service_url

# Named here, so that the browser asks for all of them at once and not for one after the other.
MODULES: Final = (
    "api", "camera", "compare", "detector", "dom", "draft", "entrance", "faces", "feed", "gallery",
    "key", "live", "look_up", "message", "names", "naming", "newest", "picture", "progress",
    "recent", "row", "stage", "thumbnails", "transfer", "uploads", "verdicts", "viewer",
)  # fmt: skip

PEOPLE_SHARES: Final = (
    "api", "detector", "dom", "draft", "entrance", "faces", "gallery", "key", "message", "naming",
    "newest", "picture", "row", "thumbnails", "transfer", "uploads", "verdicts",
)  # fmt: skip


PEOPLE_OWN: Final = (
    "choices", "doubts", "new_faces", "person", "photo", "review", "suggestions", "tiles", "why",
)  # fmt: skip

PEOPLE_MODULES: Final = (
    *(f"page/{name}" for name in PEOPLE_SHARES),
    *(f"people/{name}" for name in PEOPLE_OWN),
)


class _Application(Page):
    """A page of modules that send images."""

    modules: Sequence[str]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            closed=settings.FACES_REQUIRE_API_KEY,
            max_bytes=settings.FACES_MAX_UPLOAD_BYTES,
            detectors=analysis.available_detectors(),
            default_detector=analysis.default_detector(),
            # The page subscribes from this time on: the clock of the browser may be wrong.
            now_ms=round(time.time() * 1000),
            service_url=service_url(),
            retention_days=settings.FACES_RETENTION_DAYS,
            modules=[f"site/{name}.js" for name in self.modules],
            **kwargs,
        )


class HomeView(_Application):
    template_name = "site/page.html"
    modules = tuple(f"page/{name}" for name in MODULES)


class PeopleView(_Application):
    template_name = "site/people.html"
    modules = PEOPLE_MODULES

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            keeps_crops=settings.FACES_KEEP_CROPS,
            groups_unknown=settings.FACES_GROUP_UNKNOWN,
            **kwargs,
        )
