"""Lists of what is about a manifest, at registries that have no referrers API."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.referrers import INDEX_TYPE, NoListError
from registry_sync.client.remote import RemoteRegistry
from tests.registry_sync.strange_registry import Answer, Asked, Server, served

IMAGE_TYPE = "application/vnd.oci.image.manifest.v1+json"
SUBJECT = "sha256:" + "5" * 64
TAG = "sha256-" + "5" * 64


def entry(word: str, **more: Any) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(word.encode()).hexdigest()}"
    return {"mediaType": IMAGE_TYPE, "digest": digest, "size": 7, "artifactType": "a/b", **more}


@dataclass
class Plain:
    """A registry without the API; it holds the manifests that it is said to hold."""

    server: Server
    # By reference: media type and bytes.
    held: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    # Whether an index is refused of which a manifest is missing, as distribution does.
    is_strict: bool = False
    # Done after each time that the list was written.
    after_write: list[Callable[[], None]] = field(default_factory=list)

    @property
    def client(self) -> RemoteRegistry:
        """A client of it."""
        return self.server.client()

    def holds(self, *entries: dict[str, Any]) -> None:
        """Hold what these entries name."""
        self.held |= {each["digest"]: (IMAGE_TYPE, b"{}") for each in entries}

    def put_list(self, *entries: dict[str, Any], **more: Any) -> None:
        """Have the list as another client wrote it."""
        listed = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries, **more}
        self.held[TAG] = INDEX_TYPE, json.dumps(listed).encode()

    def listed(self) -> dict[str, Any]:
        """Return the list."""
        document: dict[str, Any] = json.loads(self.held[TAG][1])
        return document

    def writes(self) -> int:
        """Return how often something was stored."""
        return sum(asked.method == "PUT" for asked in self.server.asked)

    def answer(self, asked: Asked) -> Answer:
        """Answer as such a registry does."""
        _path, kind, reference = asked.path.rsplit("/", 2)
        if kind != "manifests":
            return 404, {}, b""
        if asked.method == "PUT":
            return self._stored(asked, reference)
        media_type, content = self.held.get(reference, ("", b""))
        # distribution does not find what is not accepted.
        if media_type not in asked.headers["Accept"].split(", "):
            return 404, {}, b""
        return 200, {"Content-Type": media_type}, content

    def _stored(self, asked: Asked, reference: str) -> Answer:
        names = [each["digest"] for each in json.loads(asked.body)["manifests"]]
        if self.is_strict and not set(names) <= set(self.held):
            return 400, {}, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}'
        self.held[reference] = asked.headers["Content-Type"], asked.body
        if self.after_write:
            self.after_write.pop(0)()
        return 201, {}, b""


@pytest.fixture
def plain() -> Iterator[Plain]:
    """Start one."""
    for server in served():
        made = Plain(server)
        server.answer = made.answer
        yield made


def test_a_list_begins_with_the_first_and_is_read_where_there_is_no_api(plain: Plain) -> None:
    signature = entry("signature", annotations={"a": "b"})
    assert plain.client.add_referrers("a/b", SUBJECT, [signature])
    assert plain.listed() == {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [signature],
    }
    assert plain.client.referrers("a/b", SUBJECT) == [signature["digest"]]
    assert not plain.client.has_referrers_api("a/b", SUBJECT)
    # Again: nothing is written.
    assert not plain.client.add_referrers("a/b", SUBJECT, [signature])
    assert plain.writes() == 1


def test_what_others_wrote_stays(plain: Plain) -> None:
    theirs = entry("theirs", urls=["https://example.com"])
    plain.put_list(theirs, annotations={"by": "another"}, unknown=1)
    assert plain.client.add_referrers("a/b", SUBJECT, [entry("ours"), theirs])
    listed = plain.listed()
    assert listed["manifests"] == [theirs, entry("ours")]
    assert (listed["annotations"], listed["unknown"]) == ({"by": "another"}, 1)


def test_one_that_writes_at_the_same_time_takes_nothing_away(plain: Plain) -> None:
    theirs = entry("theirs")
    # They read before we wrote, and write after that: what we wrote is gone, once and again.
    plain.after_write = [lambda: plain.put_list(theirs), lambda: plain.put_list(theirs)]
    assert plain.client.add_referrers("a/b", SUBJECT, [entry("ours")])
    assert plain.listed()["manifests"] == [theirs, entry("ours")]
    assert plain.writes() == 3


def test_a_list_that_never_keeps_ours_is_no_success(plain: Plain) -> None:
    plain.after_write = [lambda: plain.put_list(entry("theirs"))] * 100
    with pytest.raises(RegistryUnavailableError, match="same time"):
        plain.client.add_referrers("a/b", SUBJECT, [entry("ours")])


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (IMAGE_TYPE, b'{"layers": []}'),
        (IMAGE_TYPE, b'{"manifests": []}'),
        (INDEX_TYPE, b'{"manifests": [{"size": 1}]}'),
        (INDEX_TYPE, b"[" * 100_000),
        (INDEX_TYPE, b'{"manifests": []}' + b" " * 5_000_000),
    ],
)
def test_what_is_no_list_stays_and_says_nothing(
    plain: Plain, media_type: str, content: bytes
) -> None:
    plain.held[TAG] = media_type, content
    assert plain.client.referrers("a/b", SUBJECT) == []
    with pytest.raises(NoListError):
        plain.client.add_referrers("a/b", SUBJECT, [entry("ours")])
    assert plain.writes() == 0


def test_what_was_deleted_there_leaves_the_list_where_it_stands_in_the_way(plain: Plain) -> None:
    kept, deleted, ours = entry("kept"), entry("deleted"), entry("ours")
    plain.holds(kept, ours)
    plain.put_list(kept, deleted)
    plain.is_strict = True
    assert plain.client.add_referrers("a/b", SUBJECT, [ours])
    assert plain.listed()["manifests"] == [kept, ours]
    # What is refused for another reason is an error.
    with pytest.raises(RegistryRejectedError, match="MANIFEST_BLOB_UNKNOWN"):
        plain.client.add_referrers("a/b", SUBJECT, [entry("never sent")])
    assert plain.listed()["manifests"] == [kept, ours]


def test_a_registry_with_the_api_is_asked_for_no_list(plain: Plain) -> None:
    found = json.dumps({"manifests": [entry("one"), entry("one"), {"digest": "../x"}]}).encode()
    plain.server.answer = lambda _asked: (200, {"OCI-Subject": SUBJECT}, found)
    assert plain.client.referrers("a/b", SUBJECT) == [entry("one")["digest"]]
    assert plain.client.has_referrers_api("a/b", SUBJECT)
    assert {asked.path for asked in plain.server.asked} == {f"/v2/a/b/referrers/{SUBJECT}"}
    plain.server.answer = lambda _asked: (201, {"OCI-Subject": SUBJECT}, b"")
    assert plain.client.put_manifest("a/b", "v1", IMAGE_TYPE, b"{}") == SUBJECT


def answer_of_pages(pages: int) -> Callable[[Asked], Answer]:
    """Return what lists one more referrer on each page, of the first so many the next."""

    def answer(asked: Asked) -> Answer:
        number = int(asked.path.partition("?page=")[2] or 0)
        link = f'</v2/a/b/referrers/{SUBJECT}?page={number + 1}>; rel="next"'
        found = json.dumps({"manifests": [entry(f"signature {number}")]}).encode()
        return 200, {"Link": link} if number + 1 < pages else {}, found

    return answer


def test_a_list_that_goes_on_is_read_to_its_end(plain: Plain) -> None:
    plain.server.answer = answer_of_pages(3)
    found = plain.client.referrers("a/b", SUBJECT)
    assert found == [entry(f"signature {number}")["digest"] for number in range(3)]
    assert len(plain.server.asked) == 3


def test_but_no_further_than_anybody_takes(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry_sync.client.source._MAX_REFERRERS", 5)
    plain.server.answer = answer_of_pages(1000)
    assert len(plain.client.referrers("a/b", SUBJECT)) == 5
    assert len(plain.server.asked) == 5
    plain.server.answer = plain.answer
    plain.put_list(*(entry(f"signature {number}") for number in range(20)))
    assert len(plain.client.referrers("a/b", SUBJECT)) == 5
