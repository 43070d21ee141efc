"""A person is erased from their page after their identity was typed, or by a call of the API; only by Admins."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from profiles.models import Erasure, Profile, Project, User
from tests.cast import Partner
from tests.integrations.test_erasure import ASHA, OTHERS
from tests.sender import basic, page


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])
    return client


@pytest.fixture
def there(mixpanel: Partner) -> Partner:
    """Asha and others, in a cohort."""
    mixpanel.send(page("members", [ASHA, *OTHERS]))
    mixpanel.apply()
    return mixpanel


def at(project: Project, identity: str = "asha-identity") -> str:
    return reverse("profile-erase", args=[project.public_id, identity])


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_the_page_names_what_goes(there: Partner, alice: User) -> None:
    shown = words(browser(alice).get(at(there.project)))
    assert "Erase Ashasecret Raosecret?" in shown
    assert "and the 2 ids that lead to it" in shown
    assert "<dt>Events</dt><dd><b>1</b> is taken out of the log." in shown
    assert "<dt>Segments</dt><dd><b>1</b> loses this person." in shown
    assert "<dt>Stored pages</dt><dd><b>1</b> is rewritten without them." in shown
    assert "cannot be undone" in shown
    assert "Remove them in Mixpanel first" in shown


def test_with_too_many_pages_to_look_through_it_says_so(there: Partner, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.erasure.COUNT_AT_ONCE", 0)
    assert "Every one of the 1 that names them is rewritten" in words(browser(alice).get(at(there.project)))


def test_nobody_is_erased_without_the_identity_typed_as_it_stands(there: Partner, alice: User) -> None:
    client = browser(alice)
    for typed in ("", "Asha-Identity", "asha", "asha-distinct"):
        answer = client.post(at(there.project), {"identity": typed})
        assert answer.status_code == 422
        assert "Nothing was erased" in words(answer)
        assert f'value="{typed}"' in words(answer) or not typed
    assert Profile.objects.filter(project=there.project).count() == 4
    assert not Erasure.objects.exists()


def test_typing_it_erases_the_person_and_leads_to_the_record(there: Partner, alice: User) -> None:
    client = browser(alice)
    answer = client.post(at(there.project), {"identity": " asha-identity "}, follow=True)
    assert answer.redirect_chain == [(reverse("erasures", args=[there.project.public_id]), 302)]
    assert "The person is erased" in words(answer)
    assert "Alice" in words(answer)
    assert "asha" not in words(answer).replace("asha-identity is", "").lower()
    assert client.get(at(there.project)).status_code == 404
    assert client.post(at(there.project), {"identity": "asha-identity"}).status_code == 404
    assert there.story().members == {"ben", "chen", "divya"}


def test_it_is_found_by_any_of_their_ids_and_confirmed_by_the_identity(there: Partner, alice: User) -> None:
    client = browser(alice)
    assert client.post(at(there.project, "asha-distinct"), {"identity": "asha-identity"}).status_code == 302
    assert there.ledger.profile("asha-identity") is None


def test_only_an_admin_may_and_is_shown_the_way(there: Partner, alice: User, bob: User, mara: User) -> None:
    profile = reverse("profile", args=[there.project.public_id, "asha-identity"])
    erasures = reverse("erasures", args=[there.project.public_id])
    for user, status in ((bob, 403), (mara, 403)):
        client = browser(user)
        assert client.get(at(there.project)).status_code == status
        assert client.post(at(there.project), {"identity": "asha-identity"}).status_code == status
        assert client.get(erasures).status_code == status
        assert at(there.project) not in words(client.get(profile))
    assert at(there.project) in words(browser(alice).get(profile))
    assert there.ledger.profile("asha-identity") is not None


def test_who_knows_the_identity_can_ask_whether_it_was_erased(there: Partner, alice: User) -> None:
    client = browser(alice)
    erasures = reverse("erasures", args=[there.project.public_id])
    assert "Nobody was erased yet" in words(client.get(erasures))
    client.post(at(there.project), {"identity": "asha-identity"})
    assert "Erased <time" in words(client.post(erasures, {"identity": "asha-identity"}))
    assert "by Alice" in words(client.post(erasures, {"identity": "asha-identity"}))
    assert "Not erased: there is a profile" in words(client.post(erasures, {"identity": "ben"}))
    assert "Nobody with this Identity was erased here" in words(client.post(erasures, {"identity": "nobody"}))
    there.send(page("add_members", [ASHA], session_id="again"))
    there.apply()
    assert "named the Identity again since" in words(client.post(erasures, {"identity": "asha-identity"}))
    for number in ("0", "x", "99999", "2"):
        assert client.get(erasures, {"page": number}).status_code == 200


def test_an_identity_with_a_slash_and_an_odd_letter_has_its_page(there: Partner, alice: User) -> None:
    there.send(page("add_members", [{"$CleverTap_user_id": "a/é b?"}], session_id="odd"))
    there.apply()
    address = at(there.project, "a/é b?")
    client = browser(alice)
    assert client.get(address).status_code == 200
    assert client.post(address, {"identity": "a/é b?"}).status_code == 302
    assert there.ledger.profile("a/é b?") is None


# ---- the API


def test_a_call_erases_and_a_second_one_finds_nobody(there: Partner, harbour_passcode: str) -> None:
    headers = {"Authorization": basic(there.project.public_id, harbour_passcode)}
    client = Client()
    assert client.get("/api/v1/profiles/asha-identity/", headers=headers).json()["email"] == ASHA["email"]
    answer = client.delete("/api/v1/profiles/asha-identity/", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.delete("/api/v1/profiles/asha-identity/", headers=headers).status_code == 404
    assert client.get("/api/v1/profiles/asha-identity/", headers=headers).status_code == 404
    assert client.get("/api/v1/profiles/ben/events/", headers=headers).json()["results"][0]["name"] == "Partner Sync"
    assert Erasure.objects.get().asked_by == ""
    assert there.story().members == {"ben", "chen", "divya"}


def test_the_api_erases_for_admins_alone(there: Partner, alice: User, bob: User) -> None:
    address = "/api/v1/profiles/asha-identity/"
    assert browser(bob).delete(address).status_code == 403
    assert Client().delete(address).status_code == 401
    assert there.ledger.profile("asha-identity") is not None
    assert browser(alice).delete(address).status_code == 204
    assert Erasure.objects.get().asked_by == "Alice"


def test_the_task_that_finishes_erasures_is_beaten() -> None:
    tasks = {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()}
    assert "integrations.tasks.finish_erasures" in tasks
