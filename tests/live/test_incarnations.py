"""Projects that are renamed, deleted and made again, closed, and users who are shut out."""

from pathlib import Path

import pytest

from tests.live.client import (
    PASSWORD,
    Client,
    Image,
    blobs_of,
    client,
    digest_of,
    make_project,
    make_user,
    pusher,
    run_in,
    unique,
)
from tests.live.images import write_image
from tests.live.stack import Stack

pytestmark = pytest.mark.live

REMOVE = """
from accounts import projects
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
projects.remove(Project.objects.alive().get(name={name!r}), actor=SYSTEM_ACTOR)
"""
RENAME = """
from accounts import projects
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
project = Project.objects.alive().get(name={name!r})
projects.rename(project, name={new!r}, alias_days={alias_days}, actor=SYSTEM_ACTOR)
"""
CLOSE = """
from accounts.models import Project
Project.objects.alive().filter(name={name!r}).update(is_public=False)
"""
DISABLE = """
from accounts.models import User
User.objects.filter(username={name!r}).update(is_active=False)
"""
TOKEN = """
from accounts import personal_tokens
from accounts.models import User
from accounts.principals import SYSTEM_ACTOR
user = User.objects.get(username="admin")
scopes = ["registry:pull", "registry:push"]
print(personal_tokens.create(user, name="live", scopes=scopes, days=30, actor=SYSTEM_ACTOR)[1])
"""
AGE = """
from django.utils import timezone
from accounts.models import PersonalToken
PersonalToken.objects.update(expires_at=timezone.now())
"""
JOIN = """
from accounts import members
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
members.add(
    Project.objects.alive().get(name={name!r}),
    user=User.objects.get(username={user!r}), role=Role.DEVELOPER, actor=SYSTEM_ACTOR,
)
"""


def keys_of(stack: Stack) -> set[str]:
    """Return the registry's names for projects."""
    storage = stack.home / "registry" / "docker" / "registry" / "v2" / "repositories"
    return {path.name for path in storage.iterdir()}


def rename(stack: Stack, old: str, new: str, *, alias_days: int) -> None:
    """Rename a project, whose old name serves pulls for so many days."""
    run_in(stack, RENAME.format(name=old, new=new, alias_days=alias_days))


def fresh_image(directory: Path, word: str) -> Path:
    """Write a layout whose blobs no other test has."""
    write_image(directory, files={word: word.encode()})
    return directory


def pushed_and_pulled(stack: Stack, name: str, layout: Path, back: Path) -> None:
    """Push with a real client and pull the same bytes back."""
    pushed = stack.push(layout, name)
    assert pushed.returncode == 0, pushed.stderr
    pulled = stack.pull(name, back)
    assert pulled.returncode == 0, pulled.stderr
    assert blobs_of(back) == blobs_of(layout)


class TestRenamed:
    def test_a_real_client_notices_nothing_but_the_name(self, stack: Stack, tmp_path: Path) -> None:
        old, new = make_project(stack), unique("renamed")
        before = fresh_image(tmp_path / "before", old)
        assert stack.push(before, f"{old}/app:1").returncode == 0
        rename(stack, old, new, alias_days=7)
        # For a while both names serve pulls, and only the new one pushes.
        for name in (new, old):
            pulled = stack.pull(f"{name}/app:1", tmp_path / name)
            assert pulled.returncode == 0, pulled.stderr
            assert blobs_of(tmp_path / name) == blobs_of(before)
        after = fresh_image(tmp_path / "after", new)
        assert stack.push(after, f"{old}/app:2").returncode != 0
        pushed_and_pulled(stack, f"{new}/app:2", after, tmp_path / "again")
        # Nothing moved, and nothing was made under the new name.
        assert old in keys_of(stack)
        assert new not in keys_of(stack)

    def test_a_token_of_the_old_name(self, stack: Stack) -> None:
        old, new = make_project(stack), unique("renamed")
        holder = pusher(stack, f"{old}/app")
        image = holder.push_image(f"{old}/app", "1")
        upload = holder.start_upload(f"{old}/app").upload
        rename(stack, old, new, alias_days=7)
        pulled = holder.ask("GET", f"/v2/{old}/app/manifests/1")
        assert (pulled.status, pulled.body) == (200, image.manifest)
        assert holder.ask("DELETE", f"/v2/{old}/app/manifests/1").status == 401
        assert holder.push_manifest(f"{old}/app", "2", image.manifest).status == 401
        assert holder.start_upload(f"{old}/app").status == 401
        has_nothing(holder, f"{new}/app", image)
        ended = holder.ask("PUT", f"{upload}&digest={digest_of(b'x')}", b"x")
        assert ended.status == 401
        # An upload begun under the old name ends with a token of the new one.
        renewed = pusher(stack, f"{new}/app")
        assert renewed.ask("PUT", f"{upload}&digest={digest_of(b'x')}", b"x").status == 201

    def test_a_name_given_up_at_once(self, stack: Stack) -> None:
        old, new = make_project(stack), unique("renamed")
        holder = pusher(stack, f"{old}/app")
        image = holder.push_image(f"{old}/app", "1")
        rename(stack, old, new, alias_days=0)
        has_nothing(holder, f"{old}/app", image)
        has_nothing(holder, f"{new}/app", image)
        has_nothing(pusher(stack, f"{old}/app"), f"{old}/app", image)

    def test_another_project_may_take_the_old_name(self, stack: Stack, tmp_path: Path) -> None:
        old, new = make_project(stack), unique("renamed")
        image = pusher(stack, f"{old}/app").push_image(f"{old}/app")
        rename(stack, old, new, alias_days=0)
        make_project(stack, name=old)
        stranger = pusher(stack, f"{old}/app")
        has_nothing(stranger, f"{old}/app", image, status=404)
        layout = fresh_image(tmp_path / "layout", f"{old} again")
        pushed_and_pulled(stack, f"{old}/app:1", layout, tmp_path / "back")
        assert f"{old}--2" in keys_of(stack)
        # Its token holds the old project's registry name too, and that opens nothing.
        has_nothing(stranger, f"{new}/app", image)
        started = stranger.start_upload(
            f"{old}/app", f"?mount={digest_of(image.layer)}&from={new}/app"
        )
        assert started.status == 202
        theirs = pusher(stack, f"{new}/app").start_upload(f"{new}/app").upload
        assert theirs.startswith(f"/v2/{old}/app/")
        ended = stranger.ask("PUT", f"{theirs}&digest={digest_of(b'x')}", b"x")
        assert ended.status == 401

    def test_a_stranger_does_not_learn_the_new_name(self, stack: Stack) -> None:
        old, new = make_project(stack), unique("hidden")
        rename(stack, old, new, alias_days=0)
        for asking in (
            Client(stack.port),
            client(stack, f"repository:{old}/app:push", make_user(stack), PASSWORD),
        ):
            there = _ended(asking, f"{old}/app")
            nowhere_name = f"{unique('project')}/app"
            nowhere = _ended(asking, nowhere_name)
            assert new not in there
            assert there.replace(f"{old}/app", nowhere_name) == nowhere


class TestMadeAgain:
    @pytest.fixture
    def again(self, stack: Stack) -> tuple[str, Client, Image]:
        """A project made a second time, a client of the first one and its image."""
        name = make_project(stack)
        holder = pusher(stack, f"{name}/app")
        image = holder.push_image(f"{name}/app", "1")
        run_in(stack, REMOVE.format(name=name))
        has_nothing(holder, f"{name}/app", image)
        make_project(stack, name=name)
        return name, holder, image

    def test_nothing_of_the_old_one_is_left(
        self, stack: Stack, again: tuple[str, Client, Image]
    ) -> None:
        name, holder, image = again
        has_nothing(holder, f"{name}/app", image)
        newcomer = pusher(stack, f"{name}/app")
        has_nothing(newcomer, f"{name}/app", image, status=404)
        # Nor once the repository is there again, under the same name.
        newcomer.push_blob(f"{name}/app", b"something new")
        has_nothing(newcomer, f"{name}/app", image, status=404)
        for source in (f"{name}/app", f"{name}--2/app"):
            query = f"?mount={digest_of(image.layer)}&from={source}"
            assert newcomer.start_upload(f"{name}/app", query).status == 202
            mounted = newcomer.ask("GET", f"/v2/{name}/app/blobs/{digest_of(image.layer)}")
            assert mounted.status == 404

    def test_a_real_client_uses_the_new_one(
        self, stack: Stack, again: tuple[str, Client, Image], tmp_path: Path
    ) -> None:
        name, _holder, _image = again
        layout = fresh_image(tmp_path / "layout", name)
        pushed_and_pulled(stack, f"{name}/app:1", layout, tmp_path / "back")
        assert f"{name}--2" in keys_of(stack)
        tags = stack.skopeo("list-tags", f"docker://{stack.address}/{name}/app")
        assert '"1"' in tags.stdout

    def test_the_registrys_own_name_is_nobodys(
        self, stack: Stack, again: tuple[str, Client, Image]
    ) -> None:
        name, _holder, image = again
        newcomer = pusher(stack, f"{name}/app")
        own = newcomer.push_image(f"{name}/app")
        for registry_name in (f"{name}--2/app",):
            asking = pusher(stack, registry_name)
            has_nothing(asking, registry_name, own)
            has_nothing(newcomer, registry_name, own)
            has_nothing(asking, registry_name, image)

    def test_an_upload_of_the_old_one_does_not_end_in_the_new_one(self, stack: Stack) -> None:
        name = make_project(stack)
        holder = pusher(stack, f"{name}/app")
        upload = holder.start_upload(f"{name}/app").upload
        run_in(stack, REMOVE.format(name=name))
        make_project(stack, name=name)
        for asking in (holder, pusher(stack, f"{name}/app")):
            content = b"begun before"
            assert asking.ask("PUT", f"{upload}&digest={digest_of(content)}", content).status == 401
            got = asking.ask("GET", f"/v2/{name}/app/blobs/{digest_of(content)}")
            assert got.status in (401, 404)

    def test_a_stranger_does_not_learn_that_it_was_made_again(
        self, stack: Stack, again: tuple[str, Client, Image]
    ) -> None:
        name, _holder, _image = again
        asking = Client(stack.port)
        never = unique("project")
        answer = _ended(asking, f"{name}--2/app")
        assert answer.replace(name, never) == _ended(asking, f"{never}--2/app")


class TestShutOut:
    def test_a_disabled_user(self, stack: Stack) -> None:
        name, user = make_project(stack), make_user(stack)
        run_in(stack, JOIN.format(name=name, user=user))
        member = pusher(stack, f"{name}/app", username=user, password=PASSWORD)
        image = member.push_image(f"{name}/app")
        upload = member.start_upload(f"{name}/app").upload
        run_in(stack, DISABLE.format(name=user))
        has_nothing(member, f"{name}/app", image)
        assert member.ask("PUT", f"{upload}&digest={digest_of(b'x')}", b"x").status == 401
        assert member.ask("GET", "/v2/_catalog").status == 401
        assert member.ask("GET", "/v2/").status == 401
        asked = stack.get("/service/token", params={"service": "moorage"}, auth=(user, PASSWORD))
        assert asked.status_code == 401

    def test_a_personal_token_that_ends(self, stack: Stack, tmp_path: Path) -> None:
        name = f"{make_project(stack)}/app"
        secret = run_in(stack, TOKEN)
        layout = fresh_image(tmp_path / "layout", name)
        pushed = stack.push(layout, f"{name}:1", password=secret)
        assert pushed.returncode == 0, pushed.stderr
        holder = client(stack, f"repository:{name}:pull", password=secret)
        assert holder.ask("GET", f"/v2/{name}/manifests/1").status == 200
        run_in(stack, AGE)
        assert holder.ask("GET", f"/v2/{name}/manifests/1").status == 401
        assert stack.pull(f"{name}:1", tmp_path / "back", password=secret).returncode != 0

    def test_a_project_that_turns_private(self, stack: Stack) -> None:
        name = make_project(stack, is_public=True)
        image = pusher(stack, f"{name}/app").push_image(f"{name}/app", "1")
        nobody = client(stack, f"repository:{name}/app:pull", username="")
        stranger = client(stack, f"repository:{name}/app:pull", make_user(stack), PASSWORD)
        for asking in (nobody, stranger):
            assert asking.ask("GET", f"/v2/{name}/app/manifests/1").body == image.manifest
            layer = asking.ask("GET", f"/v2/{name}/app/blobs/{digest_of(image.layer)}")
            assert layer.body == image.layer
        run_in(stack, CLOSE.format(name=name))
        for asking in (nobody, stranger):
            has_nothing(asking, f"{name}/app", image)


def has_nothing(asking: Client, name: str, image: Image, *, status: int = 401) -> None:
    """Check that nothing of an image can be had there."""
    for reference in ("1", "latest", image.digest):
        for method in ("GET", "HEAD", "DELETE"):
            answer = asking.ask(method, f"/v2/{name}/manifests/{reference}")
            assert answer.status in (401, status), (method, reference, answer)
    for content in (image.layer, image.config, image.manifest):
        for method in ("GET", "HEAD"):
            answer = asking.ask(method, f"/v2/{name}/blobs/{digest_of(content)}")
            assert answer.status in (401, status), (method, answer)
            assert content not in answer.body
    listed = asking.ask("GET", f"/v2/{name}/tags/list")
    assert listed.status in (401, status) or listed.json["tags"] == []
    assert asking.ask("GET", f"/v2/{name}/referrers/{image.digest}").status in (401, status, 200)


def _ended(asking: Client, name: str) -> str:
    """Return all that the answer to a stranger's upload says."""
    answer = asking.ask("PUT", f"/v2/{name}/blobs/uploads/x?digest={digest_of(b'x')}", b"x")
    assert answer.status == 401
    return f"{answer.headers['WWW-Authenticate']} {answer.body!r}"
