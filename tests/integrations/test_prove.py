"""The command that looks for a person everywhere finds them wherever they are, and nothing after an erasure."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone

from integrations import prove
from integrations.erasure import erase_people
from integrations.models import PartnerCall
from profiles.models import Project
from segments.models import Segment
from tests.cast import Partner
from tests.integrations.test_erasure import ASHA, erase, ids_of, known
from tests.sender import page

__all__ = ["known"]
ASKED = ("--identity", "asha-identity", "--email", ASHA["email"], "--phone", "+6581112222", "--word", "Ashasecret")


def look(project: Project, *asked: str) -> tuple[int, str]:
    """Return how the command ends and what it says."""
    out = StringIO()
    try:
        call_command("prove_erasure", "--project", project.public_id, *asked, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_it_finds_a_person_in_every_place_that_holds_one(known: Partner) -> None:
    code, said = look(known.project, *ASKED)
    assert code == 1
    assert "A profile has this id now." in said
    left = {line.removeprefix("left: ").partition(",")[0] for line in said.splitlines() if line.startswith("left: ")}
    assert left >= {
        *("profile.id", "profile.identity", "profile.email", "profile.phone", "profile.name", "profile_alias.value"),
        *("profile_alias.profile_id", "profile_merge.old_id", "profile_merge.new_id", "profile_merge.old_identity"),
        *("event.profile_id", "event_batch.profiles", "segment_chunk.bits", "sync_change.named", "sync_change.added"),
        *("sync_change.created", "sync_change.held", "sync.removed_since", "page.body", "device_token.token"),
        *("sync_reject.member", "sync_reject.reason", "download.title", "download.query", "list_upload.named"),
        *("list_problem.given", "recent_query.query", "the file done.csv", "the file list.csv", "device_token.profile_id"),
    }


def test_after_an_erasure_nothing_is_left(known: Partner) -> None:
    erase(known.project, "asha-identity")
    code, said = look(known.project, *ASKED, "--identity", "asha-distinct", "--identity", "asha-late")
    assert code == 0
    assert said.splitlines()[-1] == "nothing left"
    assert "UTC by Alice." in said


def test_what_an_erasure_leaves_to_people_it_names(known: Partner) -> None:
    asked = {"all": [{"property": "Email", "op": "equals", "value": ASHA["email"]}]}
    Segment.objects.filter(project=known.project).update(query=asked)
    erase(known.project, "asha-identity")
    code, said = look(known.project, *ASKED)
    assert (code, [line for line in said.splitlines() if "left" in line]) == (
        1,
        [f"left: segment.query, {Segment.objects.count()} rows"],
    )


def test_an_id_of_a_profile_is_looked_for_in_all_sets(known: Partner) -> None:
    ids = ids_of(known.project, "asha-identity")
    erase(known.project, "asha-identity")
    code, said = look(known.project, *(word for each in ids for word in ("--profile", str(each))))
    assert (code, [line for line in said.splitlines() if "left" in line]) == (0, ["nothing left"])


def test_other_people_and_other_projects_are_not_taken_for_them(
    mixpanel: Partner, other_mixpanel: Partner, tmp_path: Path, settings: Any
) -> None:
    settings.FILES = tmp_path
    for partner in (mixpanel, other_mixpanel):
        partner.send(page("members", [{"$CleverTap_user_id": "anna"}, {"$CleverTap_user_id": "annabel"}]))
        partner.apply()
    erase(mixpanel.project, "anna")
    assert look(mixpanel.project, "--identity", "anna")[0] == 0
    assert look(mixpanel.project, "--identity", "annabel")[0] == 1
    assert look(other_mixpanel.project, "--identity", "anna")[0] == 1
    (tmp_path / "left-over.csv").write_text("anna\n")
    assert "the file left-over.csv" in look(mixpanel.project, "--identity", "anna")[1]


def test_a_place_that_nobody_thought_of_is_found(mixpanel: Partner) -> None:
    mixpanel.send(page("members", [ASHA]))
    mixpanel.apply()
    PartnerCall.objects.update(message="said by asha-identity.")
    ids = ids_of(mixpanel.project, "asha-identity")
    erase_people(project=mixpanel.project, profile_ids=ids, asked_by="", now=timezone.now())
    assert look(mixpanel.project, "--identity", "asha-identity")[1].count("left: partner_call.message, 1 row") == 1


def test_words_may_come_on_the_standard_input(harbour: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("asha\n\nHarbour Goods\n"))
    code, said = look(harbour, "--stdin")
    assert code == 1
    assert "left: project.name, 1 row" in said
    assert "Looked for 2 texts" in said


def test_it_says_what_it_needs(harbour: Project) -> None:
    with pytest.raises(CommandError, match="There is no project nowhere"):
        call_command("prove_erasure", "--project", "nowhere", "--identity", "x")
    with pytest.raises(CommandError, match="Name somebody"):
        call_command("prove_erasure", "--project", harbour.public_id)


def test_every_model_leads_to_its_project() -> None:
    own = [each for label in ("profiles", "segments", "integrations") for each in apps.get_app_config(label).get_models()]
    left = {each.__name__ for each in own if prove._path_to_project(each) is None}
    assert left == {"OutboxPosition"}
