"""How sizes, digests and people are written."""

import pytest

from portal.templatetags.portal import (
    format_of,
    hues,
    initials,
    is_robot,
    percent_of,
    short_digest,
    size,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0 B"),
        (178, "178 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1.00 KiB"),
        (10239, "10.0 KiB"),
        (64_800_000, "61.8 MiB"),
        (104_857_600, "100 MiB"),
        (1023 * 1024**2, "0.999 GiB"),
        (2 * 1024**4, "2.00 TiB"),
    ],
)
def test_sizes_have_three_digits_and_do_not_break(value: int, written: str) -> None:
    assert size(value) == written.replace(" ", "\N{NO-BREAK SPACE}")


def test_an_unknown_size_is_empty() -> None:
    assert size(None) == ""


def test_a_digest_is_short_and_coloured() -> None:
    digest = "sha256:0807ff" + "0" * 58
    assert short_digest(digest) == "0807ff000000"
    assert hues(digest) == [(0, 1), (5, 8), (10, 8)]
    assert hues("nonsense") == []


@pytest.mark.parametrize(
    ("name", "letters"), [("Mei Lin", "ML"), ("alice", "AL"), ("a.b", "AB"), ("", "")]
)
def test_initials(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_robots_are_told_from_people() -> None:
    assert is_robot("robot+team+ci")
    assert not is_robot("roberta")


def test_parts_and_formats() -> None:
    assert percent_of(276, 300) == 92
    assert percent_of(5, 0) == 0
    assert percent_of(9, 3) == 100
    assert format_of("application/vnd.oci.image.layer.v1.tar+gzip") == "tar + gzip"
    assert format_of("application/x-other") == "application/x-other"
