"""The forms of the pages."""

from __future__ import annotations

from typing import Any

from django import forms

from backend.analysis import services as analysis


class AlbumForm(forms.Form):
    title = forms.CharField(max_length=200)
    date = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    hidden = forms.BooleanField(required=False, label="Hidden from members")


class ConsentForm(forms.Form):
    """Consent, sent with a member's first picture."""

    agree = forms.BooleanField(
        error_messages={"required": "Tick this box first: without it nothing is stored."}
    )


class DetectorForm(forms.Form):
    """The face detector of uploaded files, of those that this installation can run."""

    detector = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = analysis.available_detectors()
        field = self.fields["detector"]
        assert isinstance(field, forms.ChoiceField)
        automatic = ("", f"automatic ({analysis.default_detector()})")
        field.choices = [automatic, *((name, name) for name in names)]
        field.error_messages["invalid_choice"] = (
            f"“%(value)s” is no detector of this service. It has: {', '.join(names)}."
        )

    def errors_as_sentences(self) -> list[str]:
        """The errors; none where the detector is one that this installation can run."""
        return [str(error) for error in self.errors.get("detector", [])]
