"""What people may type about segments: a name, a file."""

from django import forms


class NameForm(forms.Form):
    """The name of a segment."""

    name = forms.CharField(max_length=255, error_messages={"required": "Give the segment a name."})


class FileForm(forms.Form):
    """A file of people for a list that is there."""

    file = forms.FileField(
        label="CSV file",
        help_text="Up to 200 MB.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.tsv,text/csv,text/plain"}),
        error_messages={"required": "Choose a file.", "empty": "The file is empty."},
        max_length=None,
    )
    replaces = forms.ChoiceField(
        label="What it does",
        choices=[("", "Add these people to the list"), ("1", "Replace the list by these people")],
        required=False,
        widget=forms.RadioSelect,
    )


class ListForm(FileForm):
    """A new list and its first file."""

    name = forms.CharField(max_length=255, error_messages={"required": "Give the list a name."})
    field_order = ("name", "file")

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Leave out what a first file has no use for."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # Django's own
        del self.fields["replaces"]
