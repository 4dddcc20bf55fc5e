"""The layer explorer and the comparison, on images whose layers are really read."""

import re
from pathlib import Path

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Project
from registry_sync import image_analysis, layer_indexes, layer_tree, tasks
from registry_sync.models import Artifact, ImageAnalysis, Repository, Task
from registry_sync.storage.filesystem import blob_path
from tests.conftest import Cast
from tests.factories import (
    Image,
    digest_of,
    make_artifact,
    make_image,
    make_index,
    make_repository,
    push_image,
)
from tests.portal.web.conftest import SignedIn, text_of
from tests.registry_sync.jobs import Broker
from tests.registry_sync.layers.archives import layer, member, read_here, tar

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret stuff\n-----END OPENSSH PRIVATE KEY-----\n"
XSS = "<img src=x onerror=alert(1)>"
STATUS = b"Package: curl\nStatus: install ok installed\nVersion: %s\n"
BASE = layer({"etc/os-release": b"ID=x", "usr/lib/a.so": b"1" * 3_000_000})
DIRTY = layer({"root/key.pem": KEY, f"tmp/{XSS}": b"x", "app/data": b"2" * 2_000_000})
CLEAN = tar([member("root/.wh.key.pem", b""), member("app/data", b"2" * 2_000_000, uid=5)])
PACKED = layer({"var/lib/dpkg/status": STATUS % b"1"})
UPDATED = layer({"var/lib/dpkg/status": STATUS % b"2"})


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registry's storage, in reach, and no broker."""
    settings.MOORAGE_BLOB_DELIVERY = "file"
    settings.MOORAGE_STORAGE_ROOT = tmp_path
    monkeypatch.setattr(tasks.run_task, "apply_async", Broker().send)
    monkeypatch.setattr(layer_indexes, "run_child", read_here)
    return tmp_path


def push(
    repository: Repository, root: Path, tag: str, *layers: bytes, word: str = "", **run: object
) -> Artifact:
    """Push an image whose layers lie in the storage, and have it read."""
    image = make_image(word, layers=layers, config={"config": run})
    return store(repository, root, tag, image)


def store(repository: Repository, root: Path, tag: str, image: Image) -> Artifact:
    """Put an image and its blobs where they belong, and have it read."""
    for blob in image.blobs:
        path = blob_path(root, digest_of(blob))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)
    artifact = push_image(repository, image, tag)
    tasks.tick()
    for task in Task.objects.filter(kind="layers", state="queued"):
        tasks.run_task(task.pk)
    return artifact


@pytest.fixture
def app(cast: Cast) -> Repository:
    """``team/app``."""
    return make_repository(cast.team)


@pytest.fixture
def artifact(app: Repository, storage: Path) -> Artifact:
    """Three layers: a base, one with waste and a key, one that hides and repeats."""
    return push(app, storage, "1.0", BASE, DIRTY, CLEAN, Volumes={"/data": {}})


def page(artifact: Artifact, query: str = "") -> str:
    """The explorer's address."""
    return f"/p/team/app/-/images/{artifact.digest}/layers{query}"


def rows(text: str) -> list[str]:
    """The names in the tree."""
    found = re.findall(r'class="mo-path">.*?<a [^>]*>(.*?)</a>', text, re.DOTALL)
    return [name.strip() for name in found]


class TestExplorer:
    """The page of one image."""

    def test_the_top_layer_and_what_it_is_good_for(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        text = text_of(signed_in(cast.carol).get(page(artifact)))
        assert "Changes in layer 3" in text
        assert rows(text) == ["app/", "root/"]
        assert "Deleted, but still downloadable" in text
        assert "root/key.pem was added in layer 2 and hidden in layer 3" in text
        assert "COPY --chown=" in text
        assert "1 secret" in text

    def test_there_is_no_instruction_to_copy_where_none_was_recorded(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        history = [{"created_by": 5}, {"created_by": "COPY a /"}]
        given = make_image(layers=(BASE, PACKED), config={"history": history})
        path = page(store(app, storage, "odd", given))
        client = signed_in(cast.carol)
        assert "Copy instruction" in text_of(client.get(f"{path}?layer=2"))
        assert "Copy instruction" not in text_of(client.get(f"{path}?layer=1"))

    def test_a_directory_unfolds_to_what_was_hidden(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        text = text_of(signed_in(cast.carol).get(page(artifact, "?layer=3&path=root")))
        assert rows(text) == ["app/", "root/", "key.pem"]
        assert 'class="is-del"' in text

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("?layer=1&mode=upto", ["etc/", "usr/"]),
            ("?layer=2&mode=upto&path=root", ["app/", "etc/", "root/", "key.pem", "tmp/", "usr/"]),
            ("?mode=final&path=root", ["app/", "etc/", "root/", "tmp/", "usr/"]),
        ],
    )
    def test_views(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn, query: str, names: list[str]
    ) -> None:
        assert rows(text_of(signed_in(cast.carol).get(page(artifact, query)))) == names

    def test_where_a_file_comes_from(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        text = text_of(signed_in(cast.carol).get(page(artifact, "?layer=2&file=root/key.pem")))
        assert "Where <code>/root/key.pem</code> comes from" in text
        assert "deleted in layer 3" in text

    def test_search_in_all_layers(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        client = signed_in(cast.carol)
        assert rows(text_of(client.get(page(artifact, "?q=*.pem")))) == ["root/key.pem"]
        assert rows(text_of(client.get(page(artifact, "?q=ata")))) == ["app/data"] * 2
        assert "Nothing matches" in text_of(client.get(page(artifact, "?q=nowhere")))

    def test_names_of_files_are_text(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        for query in ("?layer=2&path=tmp", "?q=onerror", f"?layer=2&file=tmp/{XSS}"):
            text = text_of(signed_in(cast.carol).get(page(artifact, query)))
            assert "<img" not in text
            assert "&lt;img" in text

    @pytest.mark.parametrize(
        "query", ["?layer=0", "?layer=4", "?layer=x", "?layer=" + "9" * 40, "?mode=other"]
    )
    def test_addresses_that_name_nothing(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn, query: str
    ) -> None:
        assert signed_in(cast.carol).get(page(artifact, query)).status_code == 404

    def test_paths_that_are_nowhere_show_the_root(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        answer = signed_in(cast.carol).get(page(artifact, "?path=../../etc/shadow&layer=1"))
        assert rows(text_of(answer)) == ["etc/", "usr/"]

    def test_teaching_speaks_of_each_layer_and_of_volumes(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        text = text_of(signed_in(cast.carol).get(page(artifact)))
        assert text.count('<span class="mo-lc mo-l2">2</span> ') == 1
        assert "hides 1 behind markers" in text
        assert "<code>/data</code>" in text

    def test_while_nothing_is_read_the_page_asks_for_it(
        self, cast: Cast, app: Repository, signed_in: SignedIn
    ) -> None:
        artifact = push_image(app, make_image(layers=(BASE,)), "new")
        text = text_of(signed_in(cast.carol).get(page(artifact)))
        assert "The layers are being read" in text
        assert ImageAnalysis.objects.get(digest=artifact.digest).is_urgent

    def test_an_unreadable_layer_says_why(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        artifact = push(app, storage, "bad", BASE, b"\x1f\x8bnothing")
        text = text_of(signed_in(cast.carol).get(page(artifact)))
        assert "This layer cannot be read" in text
        assert "it is damaged" in text

    def test_an_image_that_could_not_be_analysed(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        ImageAnalysis.objects.update(result={"error": True, "secrets": []})
        assert "could not be analysed" in text_of(signed_in(cast.carol).get(page(artifact)))

    def test_no_layers(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        artifact = push(app, storage, "empty")
        assert "no layers" in text_of(signed_in(cast.carol).get(page(artifact)))

    def test_of_an_index_the_first_platform(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        children = [make_image(f"p{n}", layers=(BASE,)) for n in range(2)]
        for child in children:
            store(app, storage, "", child)
        index = push_image(app, make_index(*children), "all", children=tuple(children))
        client = signed_in(cast.carol)
        answer = client.get(page(index))
        assert answer.headers["Location"].endswith(f"{children[0].digest}/layers")
        text = text_of(client.get(answer.headers["Location"]))
        assert text.count('aria-label="Platform"') == 1

    def test_what_is_no_image(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        chart = make_artifact("application/vnd.cncf.helm.config.v1+json", {"name": "x"})
        artifact = push_image(app, chart, "chart")
        assert signed_in(cast.carol).get(page(artifact)).status_code == 404

    def test_queries_do_not_grow_with_layers(
        self,
        cast: Cast,
        app: Repository,
        storage: Path,
        signed_in: SignedIn,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        many = [layer({f"d{n}/f": b"1", "same/f": b"%d" % n}) for n in range(20)]
        artifact = push(app, storage, "many", *many)
        client = signed_in(cast.carol)
        layer_tree.indexes_of(artifact)
        with django_assert_max_num_queries(45):
            assert client.get(page(artifact, "?path=same")).status_code == 200

    def test_the_trend_of_the_repository(
        self, cast: Cast, artifact: Artifact, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        assert "Efficiency over time" not in text_of(signed_in(cast.carol).get(page(artifact)))
        push(app, storage, "2.0", BASE)
        text = text_of(signed_in(cast.carol).get(page(artifact)))
        trend = text[text.index("Efficiency over time") :]
        assert trend.index(">1.0 ") < trend.index(">2.0 ")
        assert "100 %" in trend


class TestRights:
    """The repository decides, never the blob alone."""

    def test_strangers_see_nothing(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn
    ) -> None:
        for path in (page(artifact), page(artifact).replace("/layers", "/file?layer=1&file=a")):
            assert signed_in(cast.mallory).get(path).status_code == 404
            assert signed_in(None).get(path).status_code == 302

    def test_the_same_layers_elsewhere_give_no_right(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn, library: Project
    ) -> None:
        make_repository(library, "app")
        path = page(artifact).replace("/p/team/", "/p/library/")
        assert signed_in(cast.mallory).get(path).status_code == 404

    def test_a_base_image_that_one_may_not_see_is_not_named(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        push(app, storage, "base", BASE)
        public = make_repository(cast.library, "public")
        derived = push(public, storage, "1", BASE, DIRTY)
        path = f"/p/library/public/-/images/{derived.digest}/layers"
        assert "team/app" not in text_of(signed_in(cast.mallory).get(path))
        assert "team/app@" in text_of(signed_in(cast.carol).get(path))


class TestFile:
    """Looking into a file."""

    def address(self, artifact: Artifact, query: str) -> str:
        """The file's page."""
        return f"/p/team/app/-/images/{artifact.digest}/file?{query}"

    def test_text(self, cast: Cast, artifact: Artifact, signed_in: SignedIn) -> None:
        answer = signed_in(cast.carol).get(self.address(artifact, "layer=2&file=root/key.pem"))
        assert "secret stuff" in text_of(answer)

    def test_what_is_no_text(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        artifact = push(app, storage, "b", layer({"bin": b"\x7fELF\0\0"}))
        answer = signed_in(cast.carol).get(self.address(artifact, "layer=1&file=bin"))
        assert "This is no text" in text_of(answer)

    @pytest.mark.parametrize("query", ["layer=1&file=nothing", "layer=9&file=a", "layer=1"])
    def test_what_is_not_there(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn, query: str
    ) -> None:
        assert signed_in(cast.carol).get(self.address(artifact, query)).status_code == 404

    def test_before_it_was_read(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        artifact = push_image(app, make_image(layers=(BASE,)), "new")
        answer = signed_in(cast.carol).get(self.address(artifact, "layer=1&file=a"))
        assert answer.status_code == 302


class TestCompare:
    """Two images side by side."""

    def test_what_differs(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        push(app, storage, "1", BASE, PACKED, word="a", Env=["LEVEL=debug", "DB_PASSWORD=one"])
        push(app, storage, "2", BASE, UPDATED, word="b", Env=["LEVEL=info", "DB_PASSWORD=two"])
        text = text_of(signed_in(cast.carol).get("/compare?base=team/app:1&head=team/app:2"))
        assert "1 of 2 layers" in text
        assert "1 shared from the bottom" in text
        assert "<b>1 package</b> differs" in text
        assert "var/lib/dpkg/status" in text
        assert "debug" in text
        assert "one</td>" not in text

    def test_the_same_twice(self, cast: Cast, artifact: Artifact, signed_in: SignedIn) -> None:
        query = f"base=team/app:1.0&head=team/app@{artifact.digest}"
        text = text_of(signed_in(cast.carol).get(f"/compare?{query}"))
        assert "see the same files" in text
        assert "<b>0" in text

    def test_before_they_were_read(self, cast: Cast, app: Repository, signed_in: SignedIn) -> None:
        for word in ("a", "b"):
            push_image(app, make_image(word, layers=(BASE,)), word)
        text = text_of(signed_in(cast.carol).get("/compare?base=team/app:a&head=team/app:b"))
        assert "The layers are being read" in text
        assert ImageAnalysis.objects.filter(is_urgent=True).count() == 2

    @pytest.mark.parametrize(
        ("head", "message"),
        [
            ("team/app:nothing", "no such image"),
            ("hidden/app:1", "no such image"),
            ("nonsense", "Write project/repository:tag"),
            ("team/../x:1", "no such image"),
            ("", "required"),
            ("x" * 700, "at most 600"),
        ],
    )
    def test_names_of_nothing(
        self, cast: Cast, artifact: Artifact, signed_in: SignedIn, head: str, message: str
    ) -> None:
        answer = signed_in(cast.carol).get(
            "/compare", {"base": f"team/app@{artifact.digest}", "head": head}
        )
        assert message in text_of(answer)
        assert artifact.digest in text_of(answer)

    def test_a_side_that_one_may_not_see(
        self, cast: Cast, artifact: Artifact, storage: Path, signed_in: SignedIn
    ) -> None:
        public = make_repository(cast.library, "public")
        push(public, storage, "1", BASE, word="public")
        query = f"/compare?base=library/public:1&head=team/app@{artifact.digest}"
        assert "no such image" in text_of(signed_in(cast.mallory).get(query))

    def test_nothing_chosen_yet(self, cast: Cast, signed_in: SignedIn) -> None:
        assert "side by side" in text_of(signed_in(cast.carol).get("/compare"))

    def test_platforms_of_indexes(
        self, cast: Cast, app: Repository, storage: Path, signed_in: SignedIn
    ) -> None:
        for tag, top in (("1", PACKED), ("2", UPDATED)):
            children = [make_image(f"{tag}{n}", layers=(BASE, top)) for n in range(2)]
            for child in children:
                store(app, storage, "", child)
            push_image(app, make_index(*children), tag, children=tuple(children))
        text = text_of(signed_in(cast.carol).get("/compare?base=team/app:1&head=team/app:2"))
        assert "platform=linux%2Farm64" in text
        assert "1 of 2 layers" in text


def test_results_of_an_older_version_are_made_anew(
    cast: Cast, artifact: Artifact, signed_in: SignedIn
) -> None:
    ImageAnalysis.objects.update(version=image_analysis.VERSION - 1)
    assert "being read" in text_of(signed_in(cast.carol).get(page(artifact)))
