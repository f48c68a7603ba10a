"""The forms of the pages."""

from __future__ import annotations

from django import forms


class AlbumForm(forms.Form):
    title = forms.CharField(max_length=200)
    date = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    hidden = forms.BooleanField(required=False, label="Hidden from members")


class ConsentForm(forms.Form):
    """Consent, sent with a member's first picture."""

    agree = forms.BooleanField(
        error_messages={"required": "Tick this box first: without it nothing is stored."}
    )
