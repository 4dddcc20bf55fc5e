"""What more there is to read of an artifact, and archives that mean harm."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable

import pytest
import zstandard
from pytest_django import Settings

from accounts.crypto import ensure_keys
from accounts.models import Project
from registry_sync import additions, upstream
from registry_sync.client.errors import RegistryUnavailableError
from registry_sync.models import Repository
from registry_sync.storage.filesystem import blob_path
from tests.factories import (
    Image,
    digest_of,
    make_artifact,
    make_image,
    make_index,
    make_repository,
    push_image,
)
from tests.fakes import FakeRegistry
from tests.portal.api.conftest import Answer, Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]
BASE = "projects/team/repositories/app/artifacts/v1"
HELM = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
MODEL = "application/vnd.cncf.model.config.v1+json"
DOC = "application/vnd.cncf.model.doc.v1"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, settings: Settings, cast: object) -> FakeRegistry:
    """Put a registry in memory behind."""
    fake = FakeRegistry()
    monkeypatch.setattr(upstream, "registry", fake)
    settings.MOORAGE_BLOB_DELIVERY = "registry"
    ensure_keys(settings.MOORAGE_KEYS)
    return fake


@pytest.fixture
def push(registry: FakeRegistry, team: Project) -> Callable[[Image], Repository]:
    """Return a function that pushes to ``team/app:v1``."""

    def push_it(image: Image) -> Repository:
        app = make_repository(team)
        for blob in image.blobs:
            registry.upload(app.registry_name, blob)
        push_image(app, image, "v1")
        return app

    return push_it


Push = Callable[[Image], Repository]


def tar(*files: tuple[str, bytes], is_gzip: bool = True) -> bytes:
    """Make an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if is_gzip else "w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def chart(archive: bytes, **config: object) -> Image:
    return make_artifact(HELM, {"name": "web", "version": "1.2.0", **config}, (CHART, archive, ""))


def get(caller: Callers, addition: str) -> Answer:
    return caller("carol").get(f"{BASE}/additions/{addition}")


def test_how_an_image_was_built(caller: Callers, push: Push) -> None:
    history = [{"created_by": "RUN make", "created": "2026-01-01T00:00:00Z"}]
    push(make_image("one", config={"history": history}))
    answer = get(caller, "build_history")
    assert told(answer) == history
    assert answer["Content-Type"].startswith("application/json")
    links = told(caller("carol").get(BASE))["addition_links"]
    href = links["build_history"]["href"]
    assert not links["build_history"]["absolute"]
    assert told(caller("carol").get(href)) == history


@pytest.mark.parametrize("history", ["none", 5, None, [1, "two"]])
def test_a_strange_history_is_none(caller: Callers, push: Push, history: object) -> None:
    push(make_image("one", config={"history": history}))
    assert told(get(caller, "build_history")) == []


def test_a_chart(caller: Callers, push: Push) -> None:
    archive = tar(
        ("web/Chart.yaml", b"name: web"),
        ("web/charts/redis/values.yaml", b"not: this"),
        ("web/values.yaml", b"replicas: 3"),
        ("web/README.md", b"# Web"),
    )
    needs = {"name": "redis", "version": ">1", "repository": "oci://x", "alias": "cache"}
    push(chart(archive, dependencies=[needs, "nonsense"]))
    assert get(caller, "values.yaml").content == b"replicas: 3"
    readme = get(caller, "readme.md")
    assert (readme.content, readme["Content-Type"]) == (b"# Web", "text/markdown; charset=utf-8")
    assert told(get(caller, "dependencies")) == [
        {"name": "redis", "version": ">1", "repository": "oci://x"}
    ]
    shown = told(caller("carol").get(BASE))
    assert (shown["type"], shown["media_type"]) == ("CHART", HELM)
    assert shown["extra_attrs"]["version"] == "1.2.0"
    assert set(shown["addition_links"]) == {"values.yaml", "readme.md", "dependencies"}


def test_a_chart_without_a_readme(caller: Callers, push: Push) -> None:
    push(chart(tar(("web/values.yaml", b"a: 1"))))
    assert get(caller, "readme.md").status_code == 404
    assert told(get(caller, "dependencies")) == []


def test_a_model(caller: Callers, push: Push) -> None:
    license_archive = tar(("docs/LICENSE", b"Be kind."), is_gzip=False)
    push(
        make_artifact(
            MODEL,
            {"descriptor": {"name": "tiny"}},
            (f"{DOC}.raw", b"# Tiny", "README.md"),
            (
                f"{DOC}.tar+zstd",
                zstandard.compress(license_archive),
                "docs/LICENSE",
            ),
            ("application/vnd.cncf.model.weight.v1.raw", b"12345", "model/weights.bin"),
        )
    )
    assert get(caller, "readme.md").content == b"# Tiny"
    assert get(caller, "license").content == b"Be kind."
    tree = told(get(caller, "files"))
    assert [node["name"] for node in tree] == ["README.md", "docs", "model"]
    assert tree[2] == {
        "name": "model",
        "type": "directory",
        "children": [{"name": "weights.bin", "type": "file", "size": 5}],
    }
    assert told(caller("carol").get(BASE))["type"] == "CNAI"


def test_the_files_of_another_artifact(caller: Callers, push: Push) -> None:
    kind = "application/vnd.acme.rocket.config.v1+json"
    push(make_artifact(kind, {}, ("text/plain", b"up", "manual.txt"), ("text/plain", b"x", "")))
    assert told(get(caller, "files")) == [{"name": "manual.txt", "type": "file", "size": 2}]
    assert told(caller("carol").get(BASE))["type"] == "ROCKET"
    listed = "projects/team/repositories/app/artifacts?q=type="
    assert len(told(caller("carol").get(f"{listed}ROCKET"))) == 1
    assert told(caller("carol").get(f"{listed}UNKNOWN")) == []


@pytest.mark.parametrize("addition", ["values.yaml", "files", "nothing", "license"])
def test_what_an_image_has_not(caller: Callers, push: Push, addition: str) -> None:
    push(make_image("one"))
    assert get(caller, addition).status_code == 400


def test_an_index_has_none(caller: Callers, team: Project) -> None:
    app, child = make_repository(team), make_image("child")
    push_image(app, child, "")
    push_image(app, make_index(child), "v1", children=(child,))
    assert get(caller, "build_history").status_code == 400
    assert told(caller("carol").get(BASE))["addition_links"] == {}


@pytest.mark.parametrize("addition", ["vulnerabilities", "sbom"])
def test_without_a_scanner_there_is_no_report(caller: Callers, push: Push, addition: str) -> None:
    push(make_image("one"))
    assert get(caller, addition).status_code == 404


# --- Archives that mean harm ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"no archive",
        gzip.compress(b"no tar in it" * 100),
        tar(("web/values.yaml", b"a" * 100))[:60],
        tar(("values.yaml", b"a"), ("a/b/values.yaml", b"b"), ("/etc/values.yaml", b"c")),
        tar(("web/values.yaml", b"a" * (additions.MAX_TEXT + 1))),
        tar(("web/pad", b"\0" * (additions.MAX_LAYER + 1)), ("web/values.yaml", b"a")),
        # Nothing comes out of it, for as long as one reads.
        gzip.compress(b"") * (additions.MAX_LAYER // 20 + 100),
    ],
    ids=["empty", "text", "no tar", "cut off", "elsewhere", "long text", "bomb", "nothing"],
)
def test_what_cannot_be_read_is_not_there(caller: Callers, push: Push, archive: bytes) -> None:
    push(chart(archive))
    answer = get(caller, "values.yaml")
    assert answer.status_code == 404, answer.content


def test_links_are_not_followed(caller: Callers, push: Push) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        link = tarfile.TarInfo("web/values.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    push(chart(out.getvalue()))
    assert get(caller, "values.yaml").status_code == 404


def test_a_registry_that_does_not_answer(
    caller: Callers, push: Push, registry: FakeRegistry
) -> None:
    push(chart(tar(("web/values.yaml", b"a: 1"))))
    registry.failures["open_blob"] = RegistryUnavailableError("gone")
    assert get(caller, "values.yaml").status_code == 503


def test_bytes_that_are_gone(caller: Callers, push: Push, registry: FakeRegistry) -> None:
    archive = tar(("web/values.yaml", b"a: 1"))
    push(chart(archive))
    del registry.blobs[digest_of(archive)]
    assert get(caller, "values.yaml").status_code == 404


def test_the_bytes_are_read_from_the_storage_where_it_is_in_reach(
    caller: Callers, push: Push, settings: Settings, registry: FakeRegistry
) -> None:
    archive = tar(("web/values.yaml", b"a: 1"))
    push(chart(archive))
    settings.MOORAGE_BLOB_DELIVERY = "file"
    path = blob_path(settings.MOORAGE_STORAGE_ROOT, digest_of(archive))
    assert get(caller, "values.yaml").status_code == 404
    path.parent.mkdir(parents=True)
    path.write_bytes(archive)
    assert get(caller, "values.yaml").content == b"a: 1"
    assert registry.count("open_blob") == 0
    assert json.loads(get(caller, "dependencies").content) == []
