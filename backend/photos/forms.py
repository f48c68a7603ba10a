"""What staff fills in, on the pages and at the API."""

from __future__ import annotations

from typing import Any

from django import forms
from django.forms import Form as Form


class AlbumForm(forms.Form):
    title = forms.CharField(max_length=200)
    date = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    hidden = forms.BooleanField(required=False, label="Hidden from members")


class HiddenForm(forms.Form):
    hidden = forms.TypedChoiceField(
        choices=[("True", "yes"), ("False", "no")], coerce=lambda text: text == "True"
    )

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        # JSON's true and false.
        said = {name: str(value) for name, value in (data or {}).items()}
        super().__init__(said, **kwargs)


class PersonForm(forms.Form):
    name = forms.CharField(max_length=100, required=False)


class ConsentForm(forms.Form):
    """What a browser sends with a picture: agreement is asked of who has not agreed yet."""

    agree = forms.BooleanField(
        error_messages={"required": "Tick this box first: without it nothing is stored."}
    )
