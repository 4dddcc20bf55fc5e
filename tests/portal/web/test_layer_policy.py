"""What a project asks of layers: held at the push, or said on pages and in the API."""

from pathlib import Path

import pytest
from pytest_django import Settings

from accounts.errors import BadRequest, Denied, Unavailable
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import layer_indexes, layer_policy, tasks
from registry_sync.layers.index import Limits
from registry_sync.models import LayerIndex
from registry_sync.storage.filesystem import blob_path
from tests.conftest import Cast
from tests.factories import digest_of, make_image, make_repository
from tests.portal.web.conftest import SignedIn, text_of
from tests.portal.web.test_layers import BASE, CLEAN, DIRTY, push
from tests.registry_sync.jobs import Broker
from tests.registry_sync.layers.archives import read_here

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registry's storage, in reach."""
    settings.MOORAGE_BLOB_DELIVERY = "file"
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    monkeypatch.setattr(layer_indexes, "run_child", read_here)
    monkeypatch.setattr(tasks.run_task, "apply_async", Broker().send)
    return tmp_path


def ask(project: Project, **wishes: int | bool) -> None:
    """Set a policy."""
    facts = {
        "least_efficiency": 0,
        "most_wasted_bytes": 0,
        "forbids_secrets": False,
        "is_enforced": True,
        **wishes,
    }
    layer_policy.put(project, **facts, actor=SYSTEM_ACTOR)  # type: ignore[arg-type]


def try_push(project: Project, root: Path, *layers: bytes) -> None:
    """Ask whether an image with these layers may be pushed."""
    image = make_image(layers=layers)
    for blob in image.blobs:
        path = blob_path(root, digest_of(blob))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)
    layer_policy.require_pushable(project.pk, "team/app", image.manifest)


class TestPush:
    """At the push."""

    @pytest.mark.parametrize(
        ("wishes", "reason"),
        [
            ({"least_efficiency": 90}, "its efficiency is 71 %, the project asks for 90 %"),
            ({"most_wasted_bytes": 1000}, "it wastes 2000"),
            ({"forbids_secrets": True}, "layer 2 holds what looks like a secret: root/key.pem"),
        ],
    )
    def test_what_breaks_it(
        self, team: Project, storage: Path, wishes: dict[str, int | bool], reason: str
    ) -> None:
        ask(team, **wishes)
        with pytest.raises(Denied, match=reason):
            try_push(team, storage, BASE, DIRTY, CLEAN)
        try_push(team, storage, BASE)

    def test_what_only_warns_lets_through(self, team: Project, storage: Path) -> None:
        ask(team, forbids_secrets=True, is_enforced=False)
        try_push(team, storage, DIRTY)
        assert not LayerIndex.objects.exists()

    def test_layers_are_read_once(self, team: Project, storage: Path) -> None:
        ask(team, least_efficiency=1)
        try_push(team, storage, BASE)
        made = LayerIndex.objects.get().created_at
        try_push(team, storage, BASE)
        assert LayerIndex.objects.get().created_at == made

    def test_what_cannot_be_read_is_refused(self, team: Project, storage: Path) -> None:
        ask(team, forbids_secrets=True)
        with pytest.raises(Denied, match="one cannot be read"):
            try_push(team, storage, b"nothing")

    def test_what_takes_too_long_is_tried_again(
        self, team: Project, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask(team, forbids_secrets=True)
        monkeypatch.setattr(layer_policy, "_SECONDS", -1)
        with pytest.raises(Unavailable, match="push again"):
            try_push(team, storage, BASE)

    def test_other_projects_ask_nothing(self, cast: Cast, storage: Path) -> None:
        ask(cast.team, forbids_secrets=True)
        try_push(cast.library, storage, DIRTY)


class TestSetting:
    """Who sets it, and how."""

    def test_numbers_out_of_range(self, team: Project) -> None:
        for wishes in ({"least_efficiency": 101}, {"most_wasted_bytes": -1}):
            with pytest.raises(BadRequest):
                ask(team, **wishes)

    def test_the_page(self, cast: Cast, signed_in: SignedIn) -> None:
        path = "/p/team/-/settings/layers"
        form = {"least_efficiency": "90", "most_wasted_bytes": "50 MiB", "forbids_secrets": "on"}
        assert signed_in(cast.alice).post(path, form).status_code == 302
        policy = layer_policy.of(cast.team)
        assert (policy.least_efficiency, policy.most_wasted_bytes) == (90, 50 << 20)
        assert (policy.forbids_secrets, policy.is_enforced) == (True, False)
        assert AuditEntry.objects.filter(action="update_layer_policy").count() == 1
        text = text_of(signed_in(cast.alice).get(path))
        assert 'value="50 MiB"' in text

    def test_bad_input_keeps_what_was_typed(self, cast: Cast, signed_in: SignedIn) -> None:
        form = {"least_efficiency": "200", "most_wasted_bytes": "much"}
        answer = signed_in(cast.alice).post("/p/team/-/settings/layers", form)
        assert answer.status_code == 422
        assert 'value="much"' in text_of(answer)

    def test_those_who_may_not(self, cast: Cast, signed_in: SignedIn) -> None:
        path = "/p/team/-/settings/layers"
        form = {"least_efficiency": "90"}
        assert signed_in(cast.bob).post(path, form).status_code == 403
        assert signed_in(cast.mallory).post(path, form).status_code == 404
        assert layer_policy.of(cast.team).least_efficiency == 0


def test_tags_that_break_it_are_marked(cast: Cast, storage: Path, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    push(repository, storage, "good", BASE, word="good")
    push(repository, storage, "bad", DIRTY, word="bad")
    page = text_of(signed_in(cast.carol).get("/p/team/app"))
    assert "looks like a secret" not in page
    ask(cast.team, forbids_secrets=True, is_enforced=False)
    page = text_of(signed_in(cast.carol).get("/p/team/app"))
    assert page.count("looks like a secret") == 1


def test_limits_are_those_of_the_documentation() -> None:
    assert Limits() == Limits(entries=2_000_000, unpacked_bytes=50 * 1024**3, ratio=1000)
