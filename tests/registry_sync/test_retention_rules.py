"""The evaluator: each template, Harbor's meaning and ours, and what must hold for any rules."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_sync.retention_rules import (
    DAY,
    Image,
    Reading,
    Rule,
    Template,
    Verdict,
    judge,
    version_of,
)
from registry_sync.selectors import PatternError, Selector, check

NOW = 1_000_000_000.0


def image(key: int, *tags: str, pushed: float = 0, pulled: float | None = None) -> Image:
    """An image pushed and pulled so many days ago."""
    at = 0.0 if pulled is None else NOW - pulled * DAY
    return Image(key, f"sha256:{key:064x}", list(tags), NOW - pushed * DAY, at)


def rule(template: Template, parameter: int = 0, tags: str = "**", number: int = 1) -> Rule:
    """A rule over every repository."""
    return Rule(number, template, parameter, tags=(Selector(tags),))


def kept(reading: Reading, images: Sequence[Image], path: str = "app") -> list[str]:
    """Return the first tag of each image that stays."""
    verdicts = judge(reading, path, images, NOW)
    return [verdict.image.tags[0] for verdict in verdicts if verdict.is_kept]


DAYS = [image(n, f"t{n}", pushed=n, pulled=10 - n) for n in range(10)]


@pytest.mark.parametrize(
    ("template", "parameter", "expected"),
    [
        (Template.PUSHED, 3, ["t0", "t1", "t2"]),
        (Template.PULLED, 2, ["t8", "t9"]),
        (Template.PUSHED_DAYS, 2, ["t0", "t1", "t2"]),
        (Template.LAST_DAYS, 1, ["t0", "t1"]),
        (Template.PULLED_DAYS, 2, ["t8", "t9"]),
        (Template.ACTIVE, 2, ["t0", "t9"]),
        (Template.ALWAYS, 0, [f"t{n}" for n in range(10)]),
        (Template.NOTHING, 0, []),
    ],
)
def test_what_each_template_keeps(template: Template, parameter: int, expected: list[str]) -> None:
    assert kept(Reading((rule(template, parameter),)), DAYS) == expected


def test_never_pulled_is_not_pulled_lately() -> None:
    images = [image(1, "never"), image(2, "once", pulled=1)]
    assert kept(Reading((rule(Template.PULLED_DAYS, 30),)), images) == ["once"]


def test_unspoken_tags_stay_and_harbors_reading_removes_them() -> None:
    images = [image(1, "v1"), image(2, "other")]
    rules = (rule(Template.ALWAYS, tags="v*"),)
    assert kept(Reading(rules), images) == ["v1", "other"]
    assert kept(Reading(rules, is_harbor=True), images) == ["v1"]


def test_a_repository_that_no_rule_covers_is_untouched_in_either_reading() -> None:
    one = Rule(1, Template.NOTHING, repositories=(Selector("other/**"),))
    for is_harbor in (False, True):
        assert kept(Reading((one,), is_harbor=is_harbor), DAYS) == [f"t{n}" for n in range(10)]


def test_an_image_is_kept_with_all_its_tags() -> None:
    images = [image(1, "pr-1", "v1", pushed=90), image(2, "pr-2", pushed=90)]
    rules = (rule(Template.PUSHED_DAYS, 14, "pr-*"), rule(Template.ALWAYS, tags="v*", number=2))
    assert kept(Reading(rules), images) == ["pr-1"]


def test_excludes_is_harbors_any_tag_that_does_not_match() -> None:
    images = [image(1, "latest"), image(2, "latest", "v1"), image(3, "v2")]
    one = Rule(1, Template.NOTHING, tags=(Selector("latest", is_excluding=True),))
    assert kept(Reading((one,)), images) == ["latest"]


def test_images_without_a_tag() -> None:
    images = [Image(1, "sha256:a", [], NOW)]
    (with_them,) = judge(Reading((rule(Template.NOTHING),)), "app", images, NOW)
    one = Rule(1, Template.NOTHING, is_untagged=False)
    (without,) = judge(Reading((one,)), "app", images, NOW)
    assert (with_them.is_kept, without.is_kept) == (False, True)


def test_what_is_protected_stays_and_takes_a_place() -> None:
    images = [image(1, "a", pushed=1), image(2, "b", pushed=2), image(3, "c", pushed=3)]
    images[0].protection = "immutable"
    verdicts = list(judge(Reading((rule(Template.PUSHED, 2),)), "app", images, NOW))
    assert [(v.is_kept, v.reason) for v in verdicts] == [
        (True, "immutable"),
        (True, "count"),
        (False, "count"),
    ]
    assert verdicts[2].detail == (3, 2)


def test_latest_and_pulled_lately_can_always_stay() -> None:
    images = [image(1, "latest", pushed=99), image(2, "a", pushed=99, pulled=3), image(3, "b")]
    reading = Reading((rule(Template.NOTHING),), keep_latest=True, keep_pulled_days=7)
    assert kept(reading, images) == ["latest", "a"]


def test_patches_of_each_minor_with_pre_releases_apart() -> None:
    names = ["1.4.0", "1.4.1", "1.4.10", "1.4.2", "1.5.0-rc.1", "1.5.0-rc.10", "1.5.0-rc.9"]
    names += ["1.5.0", "v2.0.0", "nightly"]
    images = [image(n, name) for n, name in enumerate(names)]
    assert kept(Reading((rule(Template.PATCHES, 2),)), images) == [
        "1.4.10",
        "1.4.2",
        "1.5.0-rc.10",
        "1.5.0-rc.9",
        "1.5.0",
        "v2.0.0",
        "nightly",
    ]


def test_versions_in_order() -> None:
    names = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.2", "1.0.0", "1.0.1"]
    versions = [version_of([name]) for name in names]
    assert versions == sorted(versions, key=lambda key: key or ())
    assert version_of(["latest", "x.y"]) is None


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("v*", "v1.2", True),
        ("v*", "xv1", False),
        ("{a,b}*", "b1", True),
        ("a*,b*", "b1", True),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("a*", "a/b", False),
        ("**/web", "x/y/web", True),
        ("web", "WEB", False),
    ],
)
def test_doublestar(pattern: str, name: str, *, expected: bool) -> None:
    assert Selector(pattern).compiled()(name) is expected


@pytest.mark.parametrize("pattern", ["", "{a", "a[b", "x" * 600, "a\0", "{" + "a," * 200 + "b}"])
def test_patterns_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(PatternError):
        check(pattern)


# --- For any rules --------------------------------------------------------------------------------

names = st.sampled_from(["latest", "v1.0.0", "v1.0.1", "v1.1.0-rc.1", "pr-1", "pr-2", "sha-1"])
rules_of_any_kind = st.builds(
    Rule,
    number=st.integers(1, 15),
    template=st.sampled_from(list(Template)),
    parameter=st.integers(1, 4),
    repositories=st.sampled_from([(Selector("**"),), (Selector("app"),), (Selector("web"),)]),
    tags=st.sampled_from(
        [
            (Selector("**"),),
            (Selector("v*"),),
            (Selector("pr-*"),),
            (Selector("latest", is_excluding=True),),
            (Selector("v*"), Selector("*-rc*", is_excluding=True)),
        ]
    ),
    is_untagged=st.booleans(),
)
images_of_any_kind = st.lists(
    st.builds(
        Image,
        key=st.integers(1, 10**6),
        digest=st.just("sha256:d"),
        tags=st.lists(names, max_size=3, unique=True),
        pushed_at=st.floats(NOW - 6 * DAY, NOW),
        pulled_at=st.one_of(st.just(0.0), st.floats(NOW - 6 * DAY, NOW)),
        protection=st.sampled_from(["", "", "", "immutable", "in_use"]),
    ),
    max_size=12,
    unique_by=lambda candidate: candidate.key,
)


def verdicts_of(rules: Sequence[Rule], images: Sequence[Image], **more: bool) -> list[Verdict]:
    """Judge them."""
    return list(judge(Reading(tuple(rules), **more), "app", images, NOW))


@settings(deadline=None, max_examples=200)
@given(
    rules=st.lists(rules_of_any_kind, max_size=4),
    images=images_of_any_kind,
    is_harbor=st.booleans(),
)
def test_nothing_protected_is_removed_and_everything_is_judged(
    rules: list[Rule], images: list[Image], *, is_harbor: bool
) -> None:
    verdicts = verdicts_of(rules, images, is_harbor=is_harbor)
    assert [verdict.image for verdict in verdicts] == images
    assert all(verdict.is_kept for verdict in verdicts if verdict.image.protection)


@settings(deadline=None, max_examples=200)
@given(
    rules=st.lists(rules_of_any_kind, max_size=4),
    further=rules_of_any_kind,
    images=images_of_any_kind,
    is_harbor=st.booleans(),
)
def test_a_further_rule_never_removes_more_of_what_was_decided(
    rules: list[Rule], further: Rule, images: list[Image], *, is_harbor: bool
) -> None:
    before = verdicts_of(rules, images, is_harbor=is_harbor)
    after = verdicts_of([*rules, further], images, is_harbor=is_harbor)
    for first, second in zip(before, after, strict=True):
        # A rule may begin to speak of what none spoke of; what a rule kept it cannot take.
        if first.is_kept and first.reason != "unspoken":
            assert second.is_kept


@settings(deadline=None, max_examples=200)
@given(st.lists(rules_of_any_kind, max_size=4), images_of_any_kind, st.randoms())
def test_the_order_of_rules_and_of_images_means_nothing(
    rules: list[Rule], images: list[Image], random: object
) -> None:
    def kept_keys(chosen: Sequence[Rule], among: Sequence[Image]) -> set[int]:
        return {v.image.key for v in verdicts_of(chosen, among) if v.is_kept}

    shuffled = list(images)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert kept_keys(rules, images) == kept_keys(rules[::-1], shuffled)


@settings(deadline=None, max_examples=200)
@given(st.lists(rules_of_any_kind, min_size=1, max_size=4), images_of_any_kind)
def test_harbors_reading_removes_at_least_as_much(rules: list[Rule], images: list[Image]) -> None:
    ours = {v.image.key for v in verdicts_of(rules, images) if not v.is_kept}
    harbors = {v.image.key for v in verdicts_of(rules, images, is_harbor=True) if not v.is_kept}
    assert ours <= harbors
