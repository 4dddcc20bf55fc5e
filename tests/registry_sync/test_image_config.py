"""Facts from a configuration, or none; never an error."""

import datetime
import json
from typing import Any

import pytest

from registry_sync.image_config import ImageFacts, read
from registry_sync.models import Artifact, Repository
from tests.factories import Image, encoded, make_image, make_repository, push_image


def facts(**members: Any) -> ImageFacts:
    """Read a configuration with these members."""
    return read(encoded(members))


def nested(depth: int) -> Any:
    """Nest lists."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_shown_of_an_image() -> None:
    members = {"os": "linux", "architecture": "arm64", "variant": "v8", "author": "Ada"}
    read = facts(**members, created="2024-05-06T07:08:09.123456789Z", config={"User": "1"})
    assert (read.os, read.architecture, read.variant, read.author) == tuple(members.values())
    assert read.built_at == datetime.datetime(2024, 5, 6, 7, 8, 9, 123456, datetime.UTC)
    assert read.config["config"] == {"User": "1"}


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"nothing",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        encoded({"a": nested(70)}),
    ],
)
def test_what_cannot_be_read_gives_no_facts(content: bytes | None) -> None:
    assert read(content) == ImageFacts()


def test_a_member_of_another_type_is_left_out() -> None:
    assert facts(os=1, architecture=None, variant=[], author={}).os == ""


def test_long_texts_are_cut_to_what_the_columns_hold() -> None:
    read = facts(os="o" * 100, author="a" * 1000)
    assert (len(read.os), len(read.author)) == (64, 512)


@pytest.mark.parametrize(
    "created",
    [
        "1970-01-01T00:00:00Z",
        "1980-01-01T00:00:01Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+12:00",
        "9999-12-31T23:59:59-12:00",
        "2024-05-06T07:08:09",
        "2024-05-06",
        "yesterday",
        "",
        7,
        None,
    ],
)
def test_a_time_that_means_nothing_is_none(created: Any) -> None:
    assert facts(created=created).built_at is None


def test_a_time_in_another_zone_is_kept_in_utc() -> None:
    read = facts(created="2024-05-06T07:08:09+02:00")
    assert read.built_at == datetime.datetime(2024, 5, 6, 5, 8, 9, tzinfo=datetime.UTC)
    assert read.built_at is not None
    assert read.built_at.tzinfo is datetime.UTC


def test_a_command_that_writes_u0000_is_kept_as_it_is() -> None:
    command = "printf '\\u0000n'"
    assert facts(history=[{"created_by": command}]).config["history"] == [{"created_by": command}]


@pytest.fixture
def app(team: Any) -> Repository:
    """``team/app``."""
    return make_repository(team)


@pytest.mark.parametrize(
    "content",
    [
        rb'{"os": "a\u0000b", "x": "\u0000"}',
        rb'{"os": "a\ud800b", "x": {"\udfff": ["\ud800"]}}',
        rb'{"os": "ab", "x": [NaN, Infinity, -Infinity, 1e400, 123456789012345678901234567890]}',
        rb'{"os": "ab", "created": "9999-12-31T23:59:59-12:00"}',
        b'{"os": "ab", "x": ' + json.dumps(nested(60)).encode() + b"}",
    ],
)
def test_whatever_a_configuration_holds_both_databases_can_keep(
    app: Repository, content: bytes
) -> None:
    usual = make_image()
    image = Image(usual.media_type, usual.content, (content, *usual.blobs[1:]))
    push_image(app, image)
    artifact = Artifact.objects.get()
    assert (artifact.os[0], artifact.os[-1]) == ("a", "b")
    assert set(artifact.config) >= {"os"}
