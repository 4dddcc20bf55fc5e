"""What the pages show: home, projects, tags, images."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Project, User
from registry_sync.models import Repository
from tests.conftest import Cast
from tests.factories import (
    descriptor,
    make_image,
    make_index,
    make_link,
    make_repository,
    push_image,
    some_digest,
)
from tests.portal.web.conftest import SignedIn, fragment, text_of

CONFIG: dict[str, Any] = {
    "config": {
        "Env": ["GREETING=hello & <b>bye</b>"],
        "Entrypoint": ["/bin/serve"],
        "Cmd": ["--port", "80"],
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "User": "app",
        "WorkingDir": "/srv",
        "Labels": {"org.example.owner": "team"},
    },
    "history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
        {"created_by": 'CMD ["sh"]', "empty_layer": True},
        {"created_by": "RUN /bin/sh -c apk add curl # buildkit"},
    ],
}


# --- Home -----------------------------------------------------------------------------------------


def test_home_shows_the_three_commands_until_something_is_pushed(
    cast: Cast, signed_in: SignedIn
) -> None:
    page = text_of(signed_in(cast.bob).get("/"))
    assert "docker login -u bob 127.0.0.1:8080" in page
    assert "docker push 127.0.0.1:8080/team/alpine:3.22" in page
    assert "<x-poll" in page


def test_home_offers_a_project_to_who_may_push_nowhere(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.mallory).get("/"))
    assert "No project to push to yet" in page
    assert "docker push" not in page


def test_home_turns_into_recent_pushes(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    assert fragment(client, "/", "waiting").status_code == 204
    make_link(make_repository(cast.team), some_digest())
    assert "1 layer of it is here already" in text_of(fragment(client, "/", "waiting"))
    push_image(Repository.objects.get(), tag="1.0")
    answer = fragment(client, "/", "waiting")
    assert answer.headers["HX-Retarget"] == "#content"
    assert "team/app<span>:</span>1.0" in text_of(answer)
    assert "<html" not in text_of(answer)
    assert "Recent pushes" in text_of(client.get("/"))


def test_home_shows_nothing_of_other_peoples_projects(cast: Cast, signed_in: SignedIn) -> None:
    push_image(make_repository(cast.team, "secret-plan"))
    assert "secret-plan" not in text_of(signed_in(cast.mallory).get("/"))


# --- Projects -------------------------------------------------------------------------------------


def test_the_list_shows_what_the_caller_may_see_with_their_role(
    cast: Cast, signed_in: SignedIn
) -> None:
    page = text_of(signed_in(cast.carol).get("/p/"))
    assert 'href="/p/team"' in page
    assert "Guest" in page
    stranger = text_of(Client().get("/p/"))
    assert 'href="/p/library"' in stranger
    assert "team" not in stranger


def test_the_list_is_filtered_and_paged(cast: Cast, admin: User, signed_in: SignedIn) -> None:
    Project.objects.bulk_create(
        Project(name=f"many-{n:03}", registry_key=f"many-{n:03}", owner=admin) for n in range(60)
    )
    client = signed_in(admin)
    assert "1–25 of 62 projects" in text_of(client.get("/p/"))
    assert "51–62 of 62 projects" in text_of(client.get("/p/", {"size": "50", "page": "2"}))
    assert "1–25 of 62 projects" in text_of(client.get("/p/", {"size": "7", "page": "x"}))
    answer = fragment(client, "/p/", "rows", q="many-00")
    assert "1–10 of 10 projects" in text_of(answer)
    assert "<html" not in text_of(answer)
    assert "No project matches" in text_of(client.get("/p/", {"q": "nothing"}))


def test_anybody_signed_in_makes_a_project(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.mallory)
    assert client.get("/p/-/new").status_code == 200
    answer = client.post("/p/-/new", {"name": "mine", "is_public": "on"})
    assert answer.headers["Location"] == "/p/mine"
    project = Project.objects.get(name="mine")
    assert (project.is_public, project.owner) == (True, cast.mallory)
    assert "docker push 127.0.0.1:8080/mine/alpine:3.22" in text_of(client.get("/p/mine"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Upper", "Use lower-case letters and digits"),
        ("team", "A project of this name exists."),
        ("admin", "This name is reserved"),
        ("", "This field is required."),
    ],
)
def test_a_bad_name_is_explained_beside_the_field(
    cast: Cast, signed_in: SignedIn, name: str, message: str
) -> None:
    answer = signed_in(cast.bob).post("/p/-/new", {"name": name})
    assert answer.status_code == 422
    assert 'id="id_name_error"' in text_of(answer)
    assert message in text_of(answer)


def test_an_empty_project_waits_and_then_lists(cast: Cast, signed_in: SignedIn) -> None:
    client = signed_in(cast.bob)
    assert "<x-poll" in text_of(client.get("/p/team"))
    assert fragment(client, "/p/team", "waiting").status_code == 204
    push_image(make_repository(cast.team, "tools/app"), tag="1.0")
    answer = fragment(client, "/p/team", "waiting")
    assert answer.headers["HX-Retarget"] == "#repositories"
    assert 'href="/p/team/tools/app"' in text_of(answer)
    assert "<x-poll" not in text_of(answer)


def test_a_guest_is_not_told_to_push(cast: Cast, signed_in: SignedIn) -> None:
    page = text_of(signed_in(cast.carol).get("/p/team"))
    assert "docker push" not in page
    assert "Nothing has been pushed yet" in page


# --- Tags -----------------------------------------------------------------------------------------


def test_tags_of_one_image_share_a_row(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    image = make_image()
    for tag in ("1.4.2", "1.4", "latest"):
        push_image(repository, image, tag)
    page = text_of(signed_in(cast.carol).get("/p/team/app"))
    assert page.partition("<main")[2].partition("</main>")[0].count("<tr>") == 2
    assert "docker pull 127.0.0.1:8080/team/app:1.4.2" in page
    assert f"docker pull 127.0.0.1:8080/team/app@{image.digest}" in page
    assert 'href="/p/team/app/-/tags/latest"' in page


def test_a_multi_platform_tag_expands_to_its_platforms(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    children = (make_image(), make_image())
    for child in children:
        push_image(repository, child, "")
    index = push_image(repository, make_index(*children), "1.0", children=children)
    client = signed_in(cast.carol)
    closed = text_of(client.get("/p/team/app"))
    assert ">arm64<" in closed
    assert "linux/arm64" not in closed
    short = index.digest.partition(":")[2][:12]
    opened = text_of(fragment(client, "/p/team/app", "rows", expand=short))
    assert f'href="/p/team/app/-/images/{children[1].digest}">linux/arm64' in opened


def test_tags_are_filtered_by_part_pattern_and_digest(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    images = {tag: push_image(repository, make_image(), tag) for tag in ("1.4.2", "1.5.0", "main")}
    client = signed_in(cast.carol)

    def found(query: str) -> set[str]:
        page = text_of(fragment(client, "/p/team/app", "rows", q=query))
        return {tag for tag in images if f"/-/tags/{tag}" in page}

    assert found("ai") == {"main"}
    assert found("1.*") == {"1.4.2", "1.5.0"}
    assert found("1.*.2") == {"1.4.2"}
    assert found(images["1.5.0"].digest) == {"1.5.0"}
    assert found(images["1.5.0"].digest[7:15]) == {"1.5.0"}
    assert found("%") == set()


def test_tags_made_by_tools_are_hidden(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    artifact = push_image(repository, make_image(), "1.0")
    signature = f"{artifact.digest.replace(':', '-')}.sig"
    push_image(repository, make_image(), signature)
    assert signature not in text_of(signed_in(cast.carol).get("/p/team/app"))


# --- Images ---------------------------------------------------------------------------------------


def push_described(project: Project) -> str:
    """Push an image with a full configuration; return its digest."""
    image = make_image("described", layers=(b"base", b"curl" * 99), config=CONFIG)
    return push_image(make_repository(project), image, "1.0").digest


def test_an_image_shows_layers_with_their_instructions(cast: Cast, signed_in: SignedIn) -> None:
    push_described(cast.team)
    page = text_of(signed_in(cast.carol).get("/p/team/app/-/tags/1.0"))
    top, base = page.index("apk add curl"), page.index("file:1 in /")
    assert top < base
    assert "<b>RUN</b> apk add curl" in page
    assert "<b>CMD</b> [&quot;sh&quot;]" in page


def test_an_image_shows_its_configuration_and_how_to_run_it(
    cast: Cast, signed_in: SignedIn
) -> None:
    digest = push_described(cast.team)
    page = text_of(signed_in(cast.carol).get(f"/p/team/app/-/images/{digest}"))
    run = "docker run --rm -p 80:80 -v data:/data 127.0.0.1:8080/team/app:1.0"
    for text in ("/bin/serve --port 80", "hello &amp; &lt;b&gt;bye", "org.example.owner", run):
        assert text in page


def test_an_image_shows_its_manifest(cast: Cast, signed_in: SignedIn) -> None:
    image = make_image()
    push_image(make_repository(cast.team), image, "1.0")
    page = text_of(signed_in(cast.carol).get("/p/team/app/-/tags/1.0"))
    shown = json.dumps(json.loads(image.content), indent=2).replace('"', "&quot;")
    assert f'<code id="manifest">{shown}</code>' in page


def test_an_index_links_to_its_platforms_and_they_back(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    children = (make_image(), make_image())
    for child in children:
        push_image(repository, child, "")
    index = push_image(repository, make_index(*children), "1.0", children=children)
    client = signed_in(cast.carol)
    page = text_of(client.get("/p/team/app/-/tags/1.0"))
    for child in children:
        assert f'href="/p/team/app/-/images/{child.digest}"' in page
    back = text_of(client.get(f"/p/team/app/-/images/{children[0].digest}"))
    assert f'href="/p/team/app/-/images/{index.digest}"' in back


@pytest.mark.parametrize("config", [{"config": []}, {"history": [1, None, {"created_by": 3}]}])
def test_a_nonsensical_configuration_does_not_break_the_page(
    cast: Cast, signed_in: SignedIn, config: dict[str, Any]
) -> None:
    push_image(make_repository(cast.team), make_image(config=config), "1.0")
    assert signed_in(cast.carol).get("/p/team/app/-/tags/1.0").status_code == 200


def test_an_image_shows_what_is_attached_to_it(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    image = make_image()
    push_image(repository, image, "1.0")
    push_image(repository, make_image(), "2.0")
    subject = descriptor(image.content, image.media_type)
    kind = "application/vnd.dev.cosign.artifact.sig.v1+json"
    signature = push_image(repository, make_image(subject=subject, artifactType=kind), "")
    client = signed_in(cast.carol)
    page = text_of(client.get("/p/team/app/-/tags/1.0"))
    assert "Attached to it" in page
    assert f'href="/p/team/app/-/images/{signature.digest}"' in page
    assert "Attached to it" not in text_of(client.get("/p/team/app/-/tags/2.0"))
    back = text_of(client.get(f"/p/team/app/-/images/{signature.digest}"))
    assert f'href="/p/team/app/-/images/{image.digest}"' in back
    assert text_of(client.get("/p/team/app")).count(">signed<") == 1


def test_a_signature_by_a_tags_name_counts(cast: Cast, signed_in: SignedIn) -> None:
    repository = make_repository(cast.team)
    artifact = push_image(repository, make_image(), "1.0")
    push_image(repository, make_image(), f"{artifact.digest.replace(':', '-')}.sig")
    assert ">signed<" in text_of(signed_in(cast.carol).get("/p/team/app"))


# --- All of them ----------------------------------------------------------------------------------


def test_queries_do_not_grow_with_rows(
    cast: Cast, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(12):
        repository = make_repository(cast.team, f"app-{number}")
        children = (make_image(), make_image())
        for child in children:
            push_image(repository, child, "")
        push_image(repository, make_index(*children), "1.0", children=children)
        push_image(Repository.objects.get(path="app-0"), make_image(), f"1.{number}")
    client = signed_in(cast.carol)
    paths = ["/", "/p/", "/p/team", "/p/team/app-0", "/p/team/app-0/-/tags/1.0"]
    paths += ["/p/team/app-11/-/tags/1.0", f"/p/team/app-11/-/images/{children[0].digest}"]
    for path in paths:
        with django_assert_max_num_queries(21):
            assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "path",
    [
        "/p/",
        "/p/team",
        "/p/team/app/-/history",
        "/p/team/-/trash",
        "/admin/users",
        "/admin/quotas",
        "/admin/trash",
        "/search",
    ],
)
def test_a_nul_in_what_is_searched_for_is_left_out(
    cast: Cast, signed_in: SignedIn, path: str
) -> None:
    """PostgreSQL refuses a text with one; SQLite looks for it."""
    push_image(make_repository(cast.team), make_image(), "1.0")
    answer = signed_in(cast.admin).get(path, {"q": "a\0b"})
    assert answer.status_code == 200
    assert 'value="ab"' in text_of(answer)
