"""The audit trail of keys and data."""

import logging

from backend.clients.models import AuditEntry

logger = logging.getLogger(__name__)


def audit(actor: str, action: str, subject: str) -> None:
    """Record an action. `subject` holds ids and names of keys and clients, no personal data."""
    AuditEntry.objects.create(actor=actor[:100], action=action[:50], subject=subject[:200])
    logger.info("audit actor=%s action=%s subject=%s", actor, action, subject)
