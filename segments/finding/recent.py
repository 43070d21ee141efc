"""The queries that a person asked lately."""

import hashlib
from datetime import datetime
from typing import Any, Final

from profiles.models import Project, User
from segments.finding.builder.canonical import as_text
from segments.models import RecentQuery

SHOWN: Final = 8
_KEPT: Final = 40


def keep(*, project: Project, user: User, query: Any, sentence: str, count: int, now: datetime) -> None:
    """Remember that somebody asked a query, and how many people it found."""
    asked = RecentQuery.objects.filter(project=project, user=user)
    digest = hashlib.sha256(as_text(query).encode()).hexdigest()
    facts = {"query": query, "sentence": sentence, "count": count, "asked_at": now}
    RecentQuery.objects.update_or_create(project=project, user=user, digest=digest, defaults=facts)
    old = asked.order_by("-asked_at", "-pk").values_list("pk", flat=True)[_KEPT:]
    asked.filter(pk__in=list(old)).delete()


def read(*, project: Project, user: User) -> list[RecentQuery]:
    """Return the last queries of somebody, the latest first."""
    return list(RecentQuery.objects.filter(project=project, user=user).order_by("-asked_at", "-pk")[:SHOWN])
