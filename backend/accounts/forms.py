"""The forms of logins and invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm as LibrarysForm
from django import forms
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import User

from backend.common.normalization import normalized

_MAX_NAME_CHARS: Final = 150
"""Of Django's users."""

if TYPE_CHECKING:
    _UserForm = forms.ModelForm[User]
else:
    _UserForm = forms.ModelForm


class LoginForm(LibrarysForm):
    """Name and password. Spellings are looked up as Django's own form does (NFKC)."""

    def clean_login(self) -> str:
        return normalized("NFKC", super().clean_login(), at_most=_MAX_NAME_CHARS)


class StaffLoginForm(LoginForm):
    """The admin's: for others than staff the password is as good as wrong."""

    def clean(self) -> Any:
        cleaned = super().clean()
        if self.user is not None and not self.user.is_staff:
            raise get_adapter().validation_error("username_password_mismatch")
        return cleaned


class InvitationForm(_UserForm):
    """A new user without a password."""

    class Meta:
        model = User
        fields = ("username", "email")
        field_classes = {"username": UsernameField}
        labels = {"email": "E-mail address (optional)"}

    def save(self, commit: bool = True) -> User:
        self.instance.set_unusable_password()
        return super().save(commit)


class NewLinkForm(forms.Form):
    """A user who is here already."""

    username = UsernameField(label="Username")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        self.user = User.objects.filter(username=name, is_active=True).first()
        if self.user is None:
            raise forms.ValidationError("There is no active user of this name.")
        return name
