"""A repository's pages: tags with filters and marks, images, and what it says of itself."""

import datetime
import html
import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from portal.web import keyset, repository_tabs
from registry_sync import immutable_rules, repositories
from registry_sync.immutability import Rule
from registry_sync.models import PullTotal, Repository, Tag
from tests.conftest import Cast
from tests.factories import descriptor, make_image, make_index, make_repository, push_image
from tests.portal.web.conftest import Answer, SignedIn, fragment, text_of

APP = "/p/team/app"
COSIGN = "application/vnd.dev.cosign.artifact.sig.v1+json"


@pytest.fixture
def app(team: Project) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.fixture
def client(cast: Cast, signed_in: SignedIn) -> Client:
    """Alice's browser."""
    return signed_in(cast.alice)


def tags_in(answer: Answer) -> list[str]:
    """Return the tags that stand at the head of rows, in their order."""
    found = re.findall(r'class="mo-tagname"[^>]*>([^<]+)</a>', text_of(answer))
    return [html.unescape(name) for name in found]


def link(answer: Answer, relation: str) -> str:
    """Return where a neighbour page begins."""
    found = re.search(rf'rel="{relation}" href="([^"]+)"', text_of(answer))
    return html.unescape(found[1]) if found else ""


class TestTags:
    def test_versions_come_in_the_order_of_versions(self, app: Repository, client: Client) -> None:
        for name in ("1.10", "1.9", "1.10-rc.1", "main", "latest"):
            push_image(app, tag=name)
        assert tags_in(client.get(APP)) == ["latest", "1.10", "1.10-rc.1", "1.9", "main"]
        assert tags_in(client.get(f"{APP}?sort=-version"))[0] == "main"

    def test_by_the_time_of_the_push(self, app: Repository, client: Client) -> None:
        for age, name in ((3, "b"), (1, "a"), (2, "c")):
            push_image(app, tag=name)
            at = timezone.now() - datetime.timedelta(days=age)
            Tag.objects.filter(name=name).update(pushed_at=at)
        assert tags_in(client.get(f"{APP}?sort=pushed")) == ["a", "c", "b"]
        assert tags_in(client.get(f"{APP}?sort=-pushed")) == ["b", "c", "a"]
        assert tags_in(client.get(f"{APP}?sort=strange")) == ["c", "b", "a"]

    def test_filters_are_in_the_address_and_work_together(
        self, app: Repository, client: Client, cast: Cast
    ) -> None:
        robot = Actor(Principal("robot", "robot+team+ci", robot_id=1))
        alice = Actor(Principal("user", "alice", cast.alice.pk))
        arm = make_image(config={"architecture": "arm64"})
        push_image(app, tag="v1", actor=robot)
        push_image(app, arm, tag="v2", actor=alice)
        push_image(app, make_index(arm), tag="v3", children=(arm,), actor=robot)
        push_image(app, tag="dev")
        index = make_index(arm)
        assert index.size > 0
        for query, expected in {
            "q=v*": ["v3", "v2", "v1"],
            "by=robots": ["v3", "v1"],
            "by=people": ["v2", "dev"],
            "by=me": ["v2"],
            "by=nobody": ["v3", "v2", "v1", "dev"],
            "platform=linux/arm64": ["v2"],
            "platform=linux/amd64": ["v3", "v1", "dev"],
            "platform=linux/amd64&by=robots&q=v*": ["v3", "v1"],
            "platform=none%00": [],
        }.items():
            assert tags_in(client.get(f"{APP}?{query}")) == expected, query
        page = text_of(client.get(f"{APP}?platform=linux/arm64&by=me"))
        assert '<option value="linux/arm64" selected>' in page
        assert '<option value="me" selected>' in page

    def test_nothing_there_and_nothing_that_matches(self, app: Repository, client: Client) -> None:
        push_image(app, tag="")
        assert "Images were pushed here by digest alone." in text_of(client.get(APP))
        push_image(app, tag="1.0")
        nothing = text_of(client.get(f"{APP}?q=2.*"))
        assert "No tag matches" in nothing
        assert "Clear the filter" in nothing

    def test_pages_go_on_where_the_last_one_ended(self, app: Repository, client: Client) -> None:
        names = [f"1.{number}" for number in range(60)]
        for name in names:
            push_image(app, tag=name)
        first = client.get(APP)
        assert tags_in(first) == names[:34:-1]
        second = client.get(f"{APP}{link(first, 'next')}")
        # What is pushed meanwhile shifts nothing.
        push_image(app, tag="2.0")
        third = client.get(f"{APP}{link(second, 'next')}")
        assert tags_in(second) + tags_in(third) == names[34::-1]
        assert link(third, "next") == ""
        assert tags_in(client.get(f"{APP}{link(third, 'prev')}")) == tags_in(second)
        back = client.get(f"{APP}{link(second, 'prev')}")
        assert tags_in(back) == names[:34:-1]
        assert "61 tags" in text_of(back)

    @pytest.mark.parametrize(
        "mark",
        ["x", "e30", "WzFd", "WyJhIiwieCJd", "WyJhIiwiOTk5OTk5OTk5OTk5OTk5OTk5OTk5Il0", "9" * 3000],
    )
    def test_a_strange_place_begins_anew(self, app: Repository, client: Client, mark: str) -> None:
        push_image(app, tag="1.0")
        for name in ("after", "before"):
            answer = client.get(f"{APP}?{name}={mark}")
            assert answer.status_code == 200
            assert tags_in(answer) == ["1.0"]

    def test_what_is_known_of_a_tag_stands_beside_it(self, app: Repository, client: Client) -> None:
        image = make_image()
        for name in ("1.0", "1", "latest"):
            push_image(app, image, tag=name)
        subject = descriptor(image.content, image.media_type)
        push_image(app, make_image(subject=subject, artifactType=COSIGN), tag="")
        push_image(app, make_image(subject=subject, artifactType="application/spdx+json"), tag="")
        push_image(app, make_image(subject=subject, artifactType="application/x.note"), tag="")
        immutable_rules.create(app.project, rule=Rule("1.0"), actor=SYSTEM_ACTOR)
        PullTotal.objects.create(
            repository=app, reference="1.0", count=1204, pulled_at=timezone.now()
        )
        page = text_of(client.get(APP))
        assert tags_in(client.get(APP)) == ["1.0"], "one row for one image"
        for alias in ("1", "latest"):
            assert f'title="{alias}: Same digest"' in page
        assert "Immutable: in every repository, tags that match 1.0" in page
        assert ">signed<" in page.replace("</svg>signed", "</svg>>signed")
        assert "SBOM" in page
        assert "1 attachment" in page
        assert "1204" in page

    def test_each_version_is_compared_with_the_one_below(
        self, app: Repository, client: Client
    ) -> None:
        for name in ("1.0", "1.1"):
            push_image(app, tag=name)
        page = text_of(client.get(APP))
        assert 'href="/compare?base=team/app:1.0&amp;head=team/app:1.1"' in page
        assert page.count("Compare with") == 1
        assert "Compare with" not in text_of(client.get(f"{APP}?sort=pushed"))

    def test_the_lock_is_on_the_images_page_too(self, app: Repository, client: Client) -> None:
        artifact = push_image(app, tag="v1")
        words = "Immutable: in every repository, tags that match v*"
        for path in (f"{APP}/-/tags/v1", f"{APP}/-/images/{artifact.digest}"):
            assert words not in text_of(client.get(path))
        immutable_rules.create(app.project, rule=Rule("v*"), actor=SYSTEM_ACTOR)
        for path, signs in ((f"{APP}/-/tags/v1", 2), (f"{APP}/-/images/{artifact.digest}", 1)):
            assert text_of(client.get(path)).count(words) == signs

    def test_a_held_tag_offers_no_removal(self, app: Repository, client: Client) -> None:
        push_image(app, tag="v1")
        assert "delete?tag=v1" in text_of(client.get(APP))
        immutable_rules.create(app.project, rule=Rule("v*"), actor=SYSTEM_ACTOR)
        page = text_of(client.get(APP))
        assert "delete?tag=v1" not in page
        assert re.search(r'name="name" value="v1"[^>]* disabled', page)

    @pytest.mark.parametrize(("name", "may"), [("carol", False), ("bob", False), ("alice", True)])
    def test_ticks_are_for_who_may_delete(
        self,
        cast: Cast,
        app: Repository,
        signed_in: SignedIn,
        name: str,
        may: bool,  # noqa: FBT001
    ) -> None:
        push_image(app, tag="v1")
        page = text_of(signed_in(getattr(cast, name)).get(APP))
        assert ('name="name" value="v1"' in page) is may
        assert ("Delete repository" in page) is may

    def test_a_fragment_is_the_rows(self, app: Repository, client: Client) -> None:
        push_image(app, tag="1.0")
        rows = text_of(fragment(client, APP, "rows", q="1.*"))
        assert rows.strip().startswith('<div id="rows">')
        assert "<h1" not in rows


class TestImages:
    def test_those_without_a_tag_too_and_no_parts_of_others(
        self, app: Repository, client: Client
    ) -> None:
        child, lone, tagged = make_image(), make_image(), make_image()
        push_image(app, child, tag="")
        index = make_index(child)
        push_image(app, index, tag="1.0", children=(child,))
        push_image(app, lone, tag="")
        push_image(app, tagged, tag="dev")
        subject = descriptor(tagged.content, tagged.media_type)
        push_image(app, signature := make_image(subject=subject), tag="")
        name = f"{tagged.digest.replace(':', '-')}.sig"
        push_image(app, old_signature := make_image(), tag=name)
        page = text_of(client.get(f"{APP}/-/images"))
        for shown in (index, lone, tagged):
            assert shown.digest in page
        for hidden in (child, signature, old_signature):
            assert hidden.digest not in page
        assert "3 images" in page
        untagged = text_of(client.get(f"{APP}/-/images?show=untagged"))
        assert lone.digest in untagged
        assert tagged.digest not in untagged
        with_tags = text_of(client.get(f"{APP}/-/images?show=tagged"))
        assert lone.digest not in with_tags
        assert "2 images" in with_tags

    def test_nothing_that_matches(self, app: Repository, client: Client) -> None:
        push_image(app, tag="1.0")
        assert "No image matches" in text_of(client.get(f"{APP}/-/images?show=untagged"))


class TestAbout:
    def test_the_description_is_markdown(self, app: Repository, client: Client) -> None:
        push_image(app, tag="1.0")
        text = "# The app\n\nIt *does* things.\n\n- one\n- two"
        repositories.describe(app, description=text, actor=SYSTEM_ACTOR)
        page = text_of(client.get(f"{APP}/-/about"))
        assert "<h2>The app</h2>" in page
        assert "<em>does</em>" in page
        assert page.count("<h1") == 1
        assert '<p class="mo-head-sub">It does things.</p>' in text_of(client.get(APP))

    def test_lists_show_its_first_words_without_markdown(
        self, app: Repository, client: Client
    ) -> None:
        push_image(app, tag="1.0")
        text = "# The app\n\nIt *does* things."
        repositories.describe(app, description=text, actor=SYSTEM_ACTOR)
        for path in ("/p/team", "/search?q=app"):
            page = text_of(client.get(path))
            assert "It does things." in page
            assert "# The app" not in page

    def test_without_one_its_images_speak(self, app: Repository, client: Client) -> None:
        labels = {
            "org.opencontainers.image.source": "https://git.example/app",
            "org.opencontainers.image.licenses": "MIT",
            "org.opencontainers.image.url": "javascript:alert(1)",
            "org.opencontainers.image.title": "<script>alert(1)</script>",
            "org.opencontainers.image.vendor": 7,
        }
        push_image(app, make_image(config={"config": {"Labels": labels}}), tag="1.0")
        page = text_of(client.get(f"{APP}/-/about"))
        assert '<a href="https://git.example/app" rel="nofollow noopener noreferrer">' in page
        assert "MIT" in page
        assert "No description yet" in page
        assert 'href="javascript' not in page
        assert "<script>alert" not in page

    @pytest.mark.parametrize("config", [{"config": None}, {"config": {"Labels": []}}, {}])
    def test_strange_labels_say_nothing(
        self, app: Repository, client: Client, config: dict[str, object]
    ) -> None:
        push_image(app, make_image(config=config), tag="1.0")
        assert "Nothing: it has none" in text_of(client.get(f"{APP}/-/about"))

    def test_it_is_changed_by_who_may(
        self, cast: Cast, app: Repository, signed_in: SignedIn
    ) -> None:
        push_image(app, tag="1.0")
        path = f"{APP}/-/about/edit"
        for name, status in ((None, 302), ("mallory", 404), ("carol", 403)):
            client = signed_in(getattr(cast, name) if name else None)
            assert client.get(path).status_code == status
            assert client.post(path, {"description": "x"}).status_code == status
        client = signed_in(cast.bob)
        looked = text_of(client.post(path, {"description": "**bold**", "look": "1"}))
        assert "<strong>bold</strong>" in looked
        app.refresh_from_db()
        assert app.description == ""
        assert client.post(path, {"description": "x" * 70_000}).status_code == 422
        answer = client.post(path, {"description": "  Kept as **written**."})
        assert answer.status_code == 302
        app.refresh_from_db()
        assert app.description == "  Kept as **written**."


def test_counting_has_an_end(
    app: Repository, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2", "3", "4"):
        push_image(app, tag=name)
    monkeypatch.setattr(repository_tabs, "_MOST", 3)
    page = text_of(client.get(APP))
    assert '<span class="mo-count">3+</span>' in page
    assert "4 tags" in page
    assert keyset.counted(Tag.objects.all(), 4) == (4, False)
    assert keyset.counted(Tag.objects.all(), 3) == (3, True)
