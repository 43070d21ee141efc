"""What Settings > Usage and the API read of a project's usage."""

from datetime import date, datetime

from profiles.models import Project
from segments.usage.figures import MonthUsage, this_month
from segments.usage.recount import recount_month, recount_months


def read_month(*, project: Project, month: date, now: datetime) -> MonthUsage:
    """Return what a project used in a month, given by its first day, as of `now`."""
    del now
    return recount_month(project=project, month=month)


def read_months(*, project: Project, last: int, now: datetime) -> list[MonthUsage]:
    """Return what a project used in each of the last months up to this one, oldest first; whole months, no days, no events."""
    return recount_months(project=project, newest=this_month(project=project, now=now), last=last)
