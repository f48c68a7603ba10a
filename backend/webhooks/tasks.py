"""Jobs of webhooks, and the sweep. They may run twice."""

from backend.common.jobs import runner
from backend.webhooks import services
from backend.webhooks.models import Webhook


def send(id: str) -> None:
    """Send what waits for the webhook whose client's turn it is."""
    runner.run_next(Webhook, services.send)


def sweep() -> None:
    """Send what was left over, and delete what is old."""
    services.sweep()
