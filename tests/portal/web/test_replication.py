"""The pages of other registries and of replication."""

import pytest
from django.utils import timezone

from accounts.principals import SYSTEM_ACTOR
from registry_sync import executions, remote_registries
from registry_sync.executions import Order
from registry_sync.models import (
    Execution,
    RegistryCheck,
    RemoteRegistry,
    ReplicationPolicy,
    Schedule,
    State,
    Task,
)
from registry_sync.remote_registries import Address
from registry_sync.replication import policies, preview
from registry_sync.replication.planning import Copy, Plan
from registry_sync.replication.policies import KIND, Terms
from registry_sync.replication.preview import Preview
from tests.conftest import Cast
from tests.portal.web.conftest import SignedIn, fragment, text_of

SECRET = "a-password-of-ours"
REGISTRIES, POLICIES = "/admin/registries", "/admin/replication"
# Nobody may reach this host itself, so that it answers at once that it does not answer.
URL = "http://127.0.0.1:9"
FORM = {"name": "frankfurt", "kind": "harbor", "url": URL, "username": "mover"}
CHOSEN = {
    "name": "releases",
    "direction": "push",
    "repositories": "team/**",
    "tags": "v*",
    "resource": "image",
    "namespace": "mirror",
    "replaced_components": "0",
    "trigger": "scheduled",
    "cron": "0 0 3 * * *",
    "speed_limit": "0",
    "is_overriding": "on",
    "is_enabled": "on",
}


@pytest.fixture
def remote(cast: Cast) -> RemoteRegistry:
    """Add a registry."""
    address = Address(URL, username="mover", password=SECRET)
    return remote_registries.create(
        name="frankfurt", description="", address=address, actor=SYSTEM_ACTOR
    )


@pytest.fixture
def policy(remote: RemoteRegistry) -> ReplicationPolicy:
    """Make a policy with filters."""
    found = ({"type": "label", "value": ["ok"]}, {"type": "tag", "value": "v*"})
    return policies.create(Terms("releases", remote, filters=found), actor=SYSTEM_ACTOR)


def test_a_registry_is_added_and_asked(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    assert "No other registries yet" in text_of(client.get(REGISTRIES))
    assert client.get(f"{REGISTRIES}/new").status_code == 200
    answer = client.post(f"{REGISTRIES}/new", FORM | {"password": SECRET})
    assert answer.headers["Location"] == REGISTRIES
    page = text_of(client.get(REGISTRIES))
    assert "frankfurt" in page
    assert "Moorage may not ask this address" in page
    assert SECRET not in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "ftp://x"}, "An address looks like"),
        ({"ca_certificate": "no"}, "no certificate in PEM form"),
        ({"name": ""}, "required"),
    ],
)
def test_what_cannot_be_keeps_the_form(
    cast: Cast, signed_in: SignedIn, changes: dict[str, str], message: str
) -> None:
    answer = signed_in(cast.admin).post(f"{REGISTRIES}/new", FORM | changes)
    assert answer.status_code == 422
    assert message in text_of(answer)
    assert 'value="mover"' in text_of(answer)
    assert not RemoteRegistry.objects.exists()


def test_an_empty_password_keeps_the_one_there_is(
    cast: Cast, remote: RemoteRegistry, signed_in: SignedIn
) -> None:
    client = signed_in(cast.admin)
    page = text_of(client.get(f"{REGISTRIES}/{remote.pk}"))
    assert "A password is kept" in page
    assert SECRET not in page
    client.post(f"{REGISTRIES}/{remote.pk}", FORM | {"name": "fra"})
    remote.refresh_from_db()
    assert remote.name == "fra"
    assert remote_registries.address_of(remote).password == SECRET
    other = FORM | {"url": "https://evil.example.com"}
    refused = client.post(f"{REGISTRIES}/{remote.pk}", other)
    assert refused.status_code == 422
    assert "Enter the password again" in text_of(refused)


def test_a_registry_is_deleted_after_its_policies(
    cast: Cast, policy: ReplicationPolicy, signed_in: SignedIn
) -> None:
    client, path = signed_in(cast.admin), f"{REGISTRIES}/{policy.remote.pk}"
    assert "must be deleted first" in text_of(client.get(path))
    client.post(f"{path}/delete")
    assert RemoteRegistry.objects.exists()
    assert client.post(f"{POLICIES}/{policy.pk}/delete").headers["Location"] == POLICIES
    client.post(f"{path}/delete")
    assert not RemoteRegistry.objects.exists()


def test_how_a_registry_answered_is_remembered(
    cast: Cast, remote: RemoteRegistry, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_registries, "KEPT_CHECKS", 3)
    remote_registries.check(remote)
    monkeypatch.setattr(remote_registries, "ping", lambda _address: None)
    for _time in range(4):
        remote_registries.check(remote)
        kept = [check.problem for check in remote.checks.order_by("pk")]
    assert kept == ["", "", ""]
    RegistryCheck.objects.create(remote=remote, at=timezone.now(), problem="No registry answers")
    page = text_of(signed_in(cast.admin).get(REGISTRIES))
    assert page.count("mo-beat--ok") == 3
    assert page.count("mo-beat--bad") == 1


@pytest.mark.django_db(transaction=True)
def test_registries_are_asked_by_themselves(
    cast: Cast, remote: RemoteRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_registries, "ping", lambda _address: None)
    assert remote_registries.check_due() == 1
    remote.refresh_from_db()
    assert remote.status == RemoteRegistry.Status.HEALTHY
    assert remote_registries.check_due() == 0


def test_a_policy_is_made_and_said_in_words(
    cast: Cast, remote: RemoteRegistry, signed_in: SignedIn
) -> None:
    client = signed_in(cast.admin)
    assert "No policies yet" in text_of(client.get(POLICIES))
    assert client.get(f"{POLICIES}/new").status_code == 200
    answer = client.post(f"{POLICIES}/new", CHOSEN | {"remote": str(remote.pk)})
    policy = ReplicationPolicy.objects.get()
    assert answer.headers["Location"] == f"{POLICIES}/{policy.pk}"
    page = text_of(client.get(f"{POLICIES}/{policy.pk}"))
    for words in (
        "<code>team/**</code>",
        "<code>v*</code>",
        "images only",
        "<code>mirror</code>",
        "are moved",
    ):
        assert words in page
    assert Schedule.objects.get(kind=KIND).cron == "0 0 3 * * *"
    assert "releases" in text_of(client.get(POLICIES))


def test_a_policy_that_fetches(cast: Cast, remote: RemoteRegistry, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    given = CHOSEN | {"remote": str(remote.pk), "direction": "pull"}
    refused = client.post(f"{POLICIES}/new", given | {"labels": "ok"})
    assert refused.status_code == 422
    assert "tells no labels" in text_of(refused)
    refused = client.post(f"{POLICIES}/new", given | {"trigger": "event_based"})
    assert "choose a schedule" in text_of(refused)
    client.post(f"{POLICIES}/new", given)
    policy = ReplicationPolicy.objects.get()
    assert policy.is_pull
    assert "<dt>From</dt>" in text_of(client.get(f"{POLICIES}/{policy.pk}"))
    assert 'value="pull" selected' in text_of(client.get(f"{POLICIES}/{policy.pk}/edit"))


def test_a_policy_at_each_push(cast: Cast, remote: RemoteRegistry, signed_in: SignedIn) -> None:
    client = signed_in(cast.admin)
    given = CHOSEN | {"remote": str(remote.pk), "is_deleting": "on"}
    refused = client.post(f"{POLICIES}/new", given)
    assert "run at each push" in text_of(refused)
    client.post(f"{POLICIES}/new", given | {"trigger": "event_based"})
    policy = ReplicationPolicy.objects.get()
    assert (policy.trigger, policy.is_deleting, policy.cron) == ("event_based", True, "")
    assert not Schedule.objects.filter(kind=KIND).exists()
    assert "is deleted there too" in text_of(client.get(f"{POLICIES}/{policy.pk}"))


def test_what_it_would_do_is_shown_and_nothing_kept(
    cast: Cast, remote: RemoteRegistry, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(copies=[Copy(1, "sha256:1", 5000, "team/app", "mirror/app", ["v1", "v2"])], there=3)
    monkeypatch.setattr(preview, "make", lambda policy: Preview(plan, 4, is_whole=False))
    client = signed_in(cast.admin)
    given = CHOSEN | {"remote": str(remote.pk), "preview": "1"}
    answer = client.post(f"{POLICIES}/new", given)
    assert answer.status_code == 200
    page = text_of(answer)
    assert "team/app:v1, v2 → mirror/app" in page
    assert "3 tags are there already" in page
    assert "The look ended after 4 tags" in page
    assert 'value="releases"' in page
    assert not ReplicationPolicy.objects.exists()


def test_a_registry_that_does_not_answer_has_no_preview(
    cast: Cast, remote: RemoteRegistry, signed_in: SignedIn
) -> None:
    client = signed_in(cast.admin)
    given = CHOSEN | {"remote": str(remote.pk), "direction": "pull", "preview": "1"}
    answer = client.post(f"{POLICIES}/new", given)
    assert answer.status_code == 422
    assert "Moorage may not ask this address" in text_of(answer)


def test_a_run_and_what_failed_of_it(
    cast: Cast, policy: ReplicationPolicy, signed_in: SignedIn
) -> None:
    orders = [Order(), Order("team/app:v1", {"tags": ["v1"], "destination": "mirror/app"})]
    orders.append(Order("mirror/old:v0", {"deletion": 7, "tags": ["v0"]}))
    run = executions.create(KIND, actor=SYSTEM_ACTOR, policy_id=policy.pk, orders=orders)
    path = f"{POLICIES}/{policy.pk}/runs/{run.pk}"
    client = signed_in(cast.admin)
    assert "comparing" in text_of(client.get(path))
    tasks = Task.objects.filter(execution=run)
    plan = {"planned": 2, "there": 9, "size": 4096, "there_size": 2048, "kept": 1}
    tasks.filter(subject="").update(state=State.SUCCEEDED, result=plan)
    tasks.filter(subject="team/app:v1").update(state=State.RUNNING, done=1024, unit="bytes")
    page = text_of(fragment(client, path, "content"))
    assert "2 images to do; 9 tags there already" in page
    assert "0 of 2 images, 0 failed" in page
    assert "1 tag differs there and stays" in page
    assert "deletion" in page
    message = "mirror.example refused it: 413"
    tasks.filter(subject="team/app:v1").update(state=State.FAILED, message=message, attempts=3)
    tasks.exclude(subject="team/app:v1").update(state=State.SUCCEEDED)
    Execution.objects.filter(pk=run.pk).update(state=State.FAILED)
    page = text_of(client.get(path))
    assert "1 image failed" in page
    assert message in page
    assert "tried 3 times" in page
    assert "<x-poll hx-get" not in page
    assert "team/app" not in text_of(client.get(f"{path}?q=old")).partition("<tbody>")[2]
    assert "team/app" in text_of(client.get(f"{path}?q=app%00&view=failed"))
    assert "team/app" not in text_of(client.get(f"{path}?view=waiting")).partition("<tbody>")[2]
    again = client.post(f"{path}/retry").headers["Location"]
    retried = Execution.objects.exclude(pk=run.pk).get()
    assert again == f"{POLICIES}/{policy.pk}/runs/{retried.pk}"
    assert Task.objects.get(execution=retried).subject == "team/app:v1"
    assert f'<a href="{path}">again what failed of run {run.pk}</a>' in text_of(client.get(again))
    assert "again what failed" not in text_of(client.get(path))
    client.post(f"{again}/stop")
    assert not Execution.objects.active().filter(pk=retried.pk).exists()
    assert client.get(f"{POLICIES}/{policy.pk}/runs/{retried.pk + 1}").status_code == 404


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cron": "every night"}, "six fields"),
        ({"namespace": "Upper"}, "cannot be a namespace"),
        ({"remote": "999"}, "valid choice"),
        ({"is_deleting": "on"}, "Deletions are copied by policies that run at each push"),
    ],
)
def test_a_policy_that_cannot_be_keeps_the_form(
    cast: Cast,
    remote: RemoteRegistry,
    signed_in: SignedIn,
    changes: dict[str, str],
    message: str,
) -> None:
    given = CHOSEN | {"remote": str(remote.pk)} | changes
    answer = signed_in(cast.admin).post(f"{POLICIES}/new", given)
    assert answer.status_code == 422
    assert message in text_of(answer)
    assert 'value="releases"' in text_of(answer)


def test_a_change_of_every_filter(
    cast: Cast, policy: ReplicationPolicy, signed_in: SignedIn
) -> None:
    client = signed_in(cast.admin)
    page = text_of(client.get(f"{POLICIES}/{policy.pk}/edit"))
    assert 'value="v*"' in page
    assert 'value="ok"' in page
    given = {
        "remote": str(policy.remote.pk),
        "is_tag_excluded": "on",
        "trigger": "manual",
        "labels": "ok, better",
        "are_labels_excluded": "on",
    }
    client.post(f"{POLICIES}/{policy.pk}/edit", CHOSEN | given)
    policy.refresh_from_db()
    stored = {entry["type"]: entry for entry in policy.filters}
    assert stored["label"]["value"] == ["ok", "better"]
    assert stored["label"]["decoration"] == "excludes"
    assert stored["tag"]["decoration"] == "excludes"
    assert (policy.trigger, policy.cron) == ("manual", "")


def test_a_policy_runs_and_shows_its_runs(
    cast: Cast, policy: ReplicationPolicy, signed_in: SignedIn
) -> None:
    client, path = signed_in(cast.admin), f"{POLICIES}/{policy.pk}"
    assert "It did not run yet" in text_of(client.get(path))
    for _click in range(2):
        shown = client.post(f"{path}/run").headers["Location"]
        run = Execution.objects.get(kind=KIND)
        assert shown == f"{path}/runs/{run.pk}"
    assert "running already" in text_of(client.get(path))
    assert "<x-poll" in text_of(fragment(client, path, "runs"))
    Task.objects.filter(execution=run).update(result={"planned": 2, "there": 7})
    Task.objects.create(
        execution=run,
        kind=KIND,
        subject="team/app:v1",
        state=State.FAILED,
        message="127.0.0.1:9 does not answer",
        run_after=run.created_at,
        created_at=run.created_at,
    )
    page = text_of(client.get(path))
    assert "2 images to copy, 7 tags there already" in page
    assert "127.0.0.1:9 does not answer" in page
    assert f"{path}/runs/{run.pk}" in page
    client.post(f"{path}/delete")
    assert ReplicationPolicy.objects.exists()
    executions.stop(run.pk, actor=SYSTEM_ACTOR)


def test_a_disabled_policy_does_not_run(
    cast: Cast, policy: ReplicationPolicy, signed_in: SignedIn
) -> None:
    ReplicationPolicy.objects.update(is_enabled=False)
    client = signed_in(cast.admin)
    assert "Run now" not in text_of(client.get(f"{POLICIES}/{policy.pk}"))
    client.post(f"{POLICIES}/{policy.pk}/run")
    assert not Execution.objects.exists()


def test_who_may_not(cast: Cast, policy: ReplicationPolicy, signed_in: SignedIn) -> None:
    paths = [
        REGISTRIES,
        f"{REGISTRIES}/new",
        f"{REGISTRIES}/{policy.remote.pk}",
        POLICIES,
        f"{POLICIES}/new",
        f"{POLICIES}/{policy.pk}",
        f"{POLICIES}/{policy.pk}/edit",
    ]
    actions = [
        f"{REGISTRIES}/{policy.remote.pk}/check",
        f"{REGISTRIES}/{policy.remote.pk}/delete",
        f"{POLICIES}/{policy.pk}/run",
        f"{POLICIES}/{policy.pk}/delete",
        f"{POLICIES}/{policy.pk}/runs/1/stop",
        f"{POLICIES}/{policy.pk}/runs/1/retry",
    ]
    alice, nobody = signed_in(cast.alice), signed_in(None)
    for path in paths:
        assert alice.get(path).status_code == 403, path
        assert nobody.get(path).status_code == 302, path
    for path in actions:
        assert alice.post(path).status_code == 403, path
        assert signed_in(cast.admin).get(path).status_code == 405, path
    cast.mallory.is_auditor = True
    cast.mallory.save(update_fields=["is_auditor"])
    auditor = signed_in(cast.mallory)
    for path in (REGISTRIES, POLICIES, f"{POLICIES}/{policy.pk}"):
        page = text_of(auditor.get(path))
        assert "Run now" not in page
        assert "Add a registry" not in page
    for path in actions:
        assert auditor.post(path).status_code == 403, path


def test_what_has_not_happened_yet_reads_otherwise_than_what_never_will(
    cast: Cast, remote: RemoteRegistry, signed_in: SignedIn
) -> None:
    policies.create(Terms("nightly", remote), actor=SYSTEM_ACTOR)
    client = signed_in(cast.admin)
    client.cookies["moorage_language"] = "zh-hant"
    page = text_of(client.get(POLICIES))
    assert "從未" in page
    assert "永不" not in page
