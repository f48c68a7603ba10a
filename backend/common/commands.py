"""What all commands of `manage.py` share."""

from django.core.management.base import BaseCommand

from backend.common import checks


class ServiceCommand(BaseCommand):
    """Refuses unsafe or incomplete settings, as the backend does at its start.

    Django's commands have every system check made, which loads all views of the web process: a
    third of the time of a short command. What those find is in the code, not in the installation.
    """

    requires_system_checks = (checks.SETTINGS,)
