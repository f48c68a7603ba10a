"""Views that ask for no key."""

from typing import Any

from rest_framework.request import Request
from rest_framework.views import APIView


class PublicView(APIView):
    """For every caller: neither authenticated nor throttled."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answers whatever `Accept` says: there is one representation."""
        return super().perform_content_negotiation(request, force=True)
