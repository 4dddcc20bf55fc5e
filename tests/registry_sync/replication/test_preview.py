"""A policy's plan before it is kept, and clients that go on."""

import pytest

from accounts.errors import BadRequest
from registry_sync import remote_registries
from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.models import Execution, ReplicationPolicy
from registry_sync.remote_registries import Address
from registry_sync.replication import clients, policies, preview
from registry_sync.replication.policies import Terms
from tests.factories import make_image
from tests.registry_sync.replication.there import Push, There, make_policy, run_all

pytestmark = pytest.mark.django_db


def draft(**terms: object) -> ReplicationPolicy:
    """Describe a policy that copies everything, and keep the registry only."""
    make_policy()
    kept = ReplicationPolicy.objects.get()
    wanted = Terms("draft", kept.remote, **terms)  # type: ignore[arg-type]
    return policies.draft(wanted)


def test_a_preview_copies_and_keeps_nothing(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    push(make_image("two"), "v2", "web/other")
    there.tagged["team/app", "v1"] = make_image("one").digest
    found = preview.make(draft())
    assert found.is_whole
    assert (found.compared, found.plan.there) == (2, 1)
    assert [copy.name for copy in found.plan.copies] == ["team/web/other"]
    assert ReplicationPolicy.objects.count() == 1
    assert not Execution.objects.exists()
    assert {what for what, _at, _name in there.asked} == {"tag"}


def test_a_preview_ends_in_time_with_what_it_saw(
    there: There, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(make_image("one"), "v1")
    monkeypatch.setattr(preview, "_SECONDS", -1.0)
    found = preview.make(draft())
    assert not found.is_whole
    assert (found.compared, len(found.plan.copies)) == (1, 1)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (RegistryUnavailableError("away"), "No registry answers"),
        (RegistryRejectedError(401, "UNAUTHORIZED"), "asks for a name"),
    ],
)
def test_why_there_is_no_preview(
    there: There, push: Push, failure: Exception, message: str
) -> None:
    push(make_image("one"), "v1")
    there.failure = failure  # type: ignore[assignment]
    with pytest.raises(BadRequest, match=message):
        preview.make(draft())


def test_a_changed_policy_is_looked_at_as_the_one_it_is(there: There, push: Push) -> None:
    push(make_image("one"), "v1")
    run_all(make_policy())
    kept = ReplicationPolicy.objects.get()
    changed = policies.draft(Terms("all", kept.remote, namespace="mirror"), kept)
    assert [copy.destination for copy in preview.make(changed).plan.copies] == ["mirror/app"]
    kept.refresh_from_db()
    assert kept.namespace == ""


# --- Clients --------------------------------------------------------------------------------------


def test_a_client_goes_on_and_one_that_failed_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clients.forget()
    monkeypatch.setattr(remote_registries, "client_of", lambda _address, **_via: There())
    address, other = Address("https://a.example"), Address("https://b.example")
    with clients.borrowed(address) as first, clients.borrowed(address) as second:
        assert first is not second
    with clients.borrowed(address) as again, clients.borrowed(other) as elsewhere:
        assert again in {first, second}
        assert elsewhere not in {first, second}
    with pytest.raises(RegistryUnavailableError), clients.borrowed(address) as broken:
        raise RegistryUnavailableError("away")
    with clients.borrowed(address) as one, clients.borrowed(address) as two:
        assert broken not in {one, two}
    monkeypatch.setattr(clients, "_SECONDS", -1.0)
    with clients.borrowed(address) as fresh:
        assert fresh not in {one, two}
