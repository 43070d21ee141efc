"""Looks for a person in everything that is kept for a project: the proof that an erasure left nothing.

It knows no place by name: it walks the models and every column of them that can hold a text or a set of people, so that
a table which an erasure forgot is found as well. Reads only; slow, because it reads everything.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models.functions import Cast
from pyroaring import BitMap64

from profiles.mentions import mentions, written_forms
from profiles.models import EventBatch, Profile, ProfileChange, ProfileMerge, Project, User
from segments.forget_files import is_in_file, path_of
from segments.index.bitmaps import from_ids, unpack_ids
from segments.index.counts import Counts
from segments.models import Download, EventBlock, EventValue, ListUpload, ProfileColumn, SegmentChunk, Sync, SyncChange

# Columns that hold serialised sets of profile ids.
_SETS: Final[dict[type[models.Model], Collection[str]]] = {
    EventBatch: ("profiles",),
    EventBlock: ("counts", "rows"),
    EventValue: ("rows",),
    ListUpload: ("named",),
    ProfileChange: ("profiles",),
    ProfileColumn: ("people",),
    SegmentChunk: ("bits",),
    Sync: ("added_since", "removed_since"),
    SyncChange: ("named", "created", "added", "removed", "held"),
}
# Numbers that are ids of profiles without being foreign keys.
_IDS: Final[dict[type[models.Model], Collection[str]]] = {ProfileMerge: ("old_id", "new_id"), Profile: ("id",)}
# People who sign in are not people whom a project knows.
_NOT_SEARCHED: Final = (User,)
_ANY_OF: Final = 20


@dataclass(slots=True)
class Search:
    """What was looked through, and where something was found: {place: rows}."""

    columns: int = 0
    tables: int = 0
    files: int = 0
    left: dict[str, int] = field(default_factory=dict)


def search(*, project: Project, words: Collection[str], ids: Collection[int] = ()) -> Search:
    """Look for texts, where they stand alone, and for ids of profiles in all that is kept for a project.

    Tables that belong to no project, such as those of the sign-in, are searched as a whole.
    """
    found = Search()
    texts = _Texts(words)
    wanted = BitMap64(ids)
    for model in sorted(apps.get_models(), key=lambda each: each._meta.db_table):  # noqa: SLF001  Django's public name for it
        if model in _NOT_SEARCHED:
            continue
        leads = _path_to_project(model)
        rows = model._default_manager.filter(**{leads: project.pk}) if leads else model._default_manager.all()  # noqa: SLF001
        found.tables += 1
        for column in model._meta.concrete_fields:  # noqa: SLF001
            count = _count(rows, model, column, texts, wanted)
            if count is not None:
                found.columns += 1
                if count:
                    found.left[f"{model._meta.db_table}.{column.column}"] = count  # noqa: SLF001
    for path in _files(project):
        found.files += 1
        if is_in_file(path, texts.pattern):
            found.left[f"the file {path.name}"] = 1
    return found


class _Texts:
    """Texts to look for: roughly in the database, exactly here."""

    def __init__(self, words: Collection[str]) -> None:
        """Keep them in each form in which they may be written."""
        self.words = frozenset(word for word in words if word)
        self.forms = sorted(written_forms(self.words))
        self.pattern = mentions(self.words)

    def are_in(self, value: Any) -> bool:
        """Tell whether one of them stands alone in a value."""
        text = bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)
        return bool(self.pattern.search(text))


def _path_to_project(model: type[models.Model]) -> str | None:
    """Return the look-up that leads from a model to its project, None where none does."""
    waiting: list[tuple[type[models.Model], list[str]]] = [(model, [])]
    seen = {model}
    while waiting:
        each, steps = waiting.pop(0)
        if each is Project:
            return "__".join(steps) or "pk"
        for key in each._meta.concrete_fields:  # noqa: SLF001
            target = key.related_model
            if isinstance(key, models.ForeignKey) and isinstance(target, type) and target not in {*seen, User}:
                seen.add(target)
                waiting.append((target, [*steps, key.name]))
    return None


def _count(rows: models.QuerySet[Any], model: type[models.Model], column: Any, texts: _Texts, wanted: BitMap64) -> int | None:
    """Count the rows in which a column holds one of the texts or ids; None for a column that can hold neither."""
    if column.name in _SETS.get(model, ()):
        sets = rows.filter(**{f"{column.name}__isnull": False}).values_list(column.name, flat=True)
        if not wanted:
            return 0
        return sum(wanted.intersect(_read_set(model, column.name, bytes(bits))) for bits in sets.iterator(chunk_size=200))
    if column.name in _IDS.get(model, ()) or (isinstance(column, models.ForeignKey) and column.related_model is Profile):
        return rows.filter(**{f"{column.attname}__in": list(wanted)}).count() if wanted else 0
    if isinstance(column, models.BinaryField) and column.max_length is None:  # digests have a length, and hold no text
        return _count_texts(rows, column.name, texts, as_bytes=True)
    if isinstance(column, models.CharField | models.TextField | models.JSONField | models.GenericIPAddressField):
        return _count_texts(rows, column.name, texts, as_bytes=False)
    return None


def _read_set(model: type[models.Model], name: str, bits: bytes) -> BitMap64:
    if model in {EventBlock, EventValue} and name == "rows":
        return from_ids(unpack_ids(bits))
    return Counts.deserialize(bits).people() if model is EventBlock else BitMap64.deserialize(bits)


def _count_texts(rows: models.QuerySet[Any], name: str, texts: _Texts, *, as_bytes: bool) -> int:
    """Count the rows of a column that hold one of the texts: the database finds the few that may, and they are read."""
    kind: models.Field[Any, Any] = models.BinaryField() if as_bytes else models.TextField()
    value = models.F(name) if as_bytes else Cast(name, models.TextField())
    may = models.Q(pk__in=[])
    places: dict[str, Any] = {}
    for number, form in enumerate(texts.forms):
        sought = models.Value(form.encode() if as_bytes else form, output_field=kind)
        places[f"place_{number}"] = models.Func(
            sought, value, template="position(%(expressions)s)", arg_joiner=" in ", output_field=models.IntegerField()
        )
        may |= models.Q(**{f"place_{number}__gt": 0})
    found = rows.alias(**places).filter(may).values_list(name, flat=True)
    return sum(texts.are_in(each) for each in found.iterator(chunk_size=_ANY_OF))


def _files(project: Project) -> Iterator[Path]:
    """Yield the project's files, and those that belong to nobody any more."""
    others: set[Path] = set()
    for model in (Download, ListUpload):
        others |= {path_of(row) for row in model.objects.exclude(file="").exclude(project=project)}
    folder = Path(settings.FILES)
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in others)
