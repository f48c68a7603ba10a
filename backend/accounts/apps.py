from django.apps import AppConfig
from django.contrib import admin


class AccountsConfig(AppConfig):
    name = "backend.accounts"

    def ready(self) -> None:
        from allauth.mfa.signals import authenticator_added

        from backend.accounts import second_factor

        authenticator_added.connect(second_factor.note_new)
        _hide_the_librarys_tables()


def _hide_the_librarys_tables() -> None:
    """They hold secrets of second factors and providers, and nothing for staff to edit."""
    for model in list(admin.site._registry):
        if model.__module__.startswith("allauth."):
            admin.site.unregister(model)
