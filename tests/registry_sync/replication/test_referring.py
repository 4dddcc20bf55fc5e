"""What names a subject is found by it, at registries that do not see to that themselves."""

from typing import Any

import pytest

from accounts.errors import Conflict, DomainError, Unavailable
from registry_sync.client.errors import (
    RegistryError,
    RegistryRejectedError,
    RegistryUnavailableError,
)
from registry_sync.client.referrers import NoListError
from registry_sync.manifests import OCI_INDEX
from registry_sync.models import State
from tests.factories import Image, descriptor, make_image, make_index
from tests.registry_sync.replication.there import Push, There, make_policy, run_all

pytestmark = pytest.mark.django_db

KIND = "application/vnd.dev.cosign.artifact.sig.v1+json"


def about(image: Image, word: str, **more: Any) -> Image:
    return make_image(word, subject=descriptor(image.content, image.media_type), **more)


def asked(there: There, what: str) -> list[str]:
    return [name for did, _repository, name in there.asked if did == what]


def test_lists_hold_all_that_is_about_an_image_and_about_that(there: There, push: Push) -> None:
    there.has_api = False
    child = make_image("child")
    push(child)
    index = make_index(child)
    push(index, "v1", children=(child,))
    typed = about(index, "typed", artifactType=KIND, annotations={"a": "b"})
    plain = about(index, "plain")
    nested = about(typed, "of a signature")
    of_child = about(child, "of a platform")
    for image in (typed, plain, nested, of_child):
        push(image)
    policy = make_policy()
    assert run_all(policy).state == State.SUCCEEDED
    found = {subject: set(listed) for (_place, subject), listed in there.lists.items()}
    assert found == {
        index.digest: {typed.digest, plain.digest},
        typed.digest: {nested.digest},
        child.digest: {of_child.digest},
    }
    listed = there.lists["team/app", index.digest]
    described = descriptor(typed.content, typed.media_type)
    assert listed[typed.digest] == {**described, "artifactType": KIND, "annotations": {"a": "b"}}
    # An image without a type is of its config's.
    config = "application/vnd.oci.image.config.v1+json"
    assert listed[plain.digest] == {
        **descriptor(plain.content, plain.media_type),
        "artifactType": config,
    }
    # Lists before tags; and what is the same costs nothing.
    kinds = [what for what, _repository, name in there.asked if what == "list" or name == "v1"]
    assert kinds == ["tag", "list", "list", "list", "put"]
    there.asked.clear()
    run_all(policy)
    assert there.asked == [("tag", "team/app", "v1")]


def test_a_tag_that_names_a_subject_itself_is_listed(there: There, push: Push) -> None:
    there.has_api = False
    bundle = make_index(subject=descriptor(b"elsewhere", OCI_INDEX))
    push(bundle, "v1")
    run_all(make_policy())
    assert [set(listed) for listed in there.lists.values()] == [{bundle.digest}]


def test_an_attempt_after_a_broken_one_writes_the_list(there: There, push: Push) -> None:
    """The signature was sent, and then the worker died."""
    there.has_api = False
    image = make_image("one")
    signature = about(image, "signature")
    push(image, "v1")
    push(signature)
    there.manifests.add(("team/app", signature.digest))
    run_all(make_policy())
    assert set(there.lists["team/app", image.digest]) == {signature.digest}
    assert signature.digest not in asked(there, "put")
    assert asked(there, "referrers") == [image.digest]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_registry_with_the_api_keeps_its_own(there: There, push: Push, *, is_there: bool) -> None:
    image = make_image("one")
    signature = about(image, "signature")
    push(image, "v1")
    push(signature)
    if is_there:
        there.manifests.add(("team/app", signature.digest))
    run_all(make_policy())
    assert there.lists == {}
    # Only what shows nothing by itself is asked for.
    assert asked(there, "referrers") == ([image.digest] if is_there else [])


@pytest.mark.parametrize(
    ("failure", "told", "message", "is_tagged"),
    [
        (NoListError(), Conflict, "is no list of referrers there, and stays", True),
        (RegistryRejectedError(412, "DENIED"), Conflict, "refuses that tag .412 DENIED", True),
        (RegistryUnavailableError("it is away"), Unavailable, "it is away", False),
    ],
)
def test_a_list_that_cannot_be_written_is_said(
    there: There,
    push: Push,
    failure: RegistryError,
    told: type[DomainError],
    message: str,
    *,
    is_tagged: bool,
) -> None:
    there.has_api, there.list_failure = False, failure
    image = make_image("one")
    push(image, "v1")
    push(about(image, "signature"))
    with pytest.raises(told, match=message):
        run_all(make_policy())
    assert (there.tagged == {("team/app", "v1"): image.digest}) is is_tagged
