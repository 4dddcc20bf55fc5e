"""A link that the registry makes after its row was dropped is known to collection all the same."""

import pytest

from accounts.errors import Unavailable
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import catalog
from registry_sync.models import Artifact, Blob, RepositoryBlob
from tests.factories import make_image, make_repository, prepare_push


@pytest.mark.parametrize("state", [Blob.State.LIVE, Blob.State.GONE])
def test_a_refused_commit_announces_its_manifest_again(team: Project, state: Blob.State) -> None:
    """The grace ran out behind the pin; then the registry stored the manifest."""
    app, image = make_repository(team), make_image()
    push = prepare_push(app, image, "latest")
    own = RepositoryBlob.objects.filter(repository=app, digest=image.digest)
    own.delete()
    Blob.objects.filter(digest=image.digest).update(state=state)
    with pytest.raises(Unavailable):
        catalog.commit_manifest(app, push, actor=SYSTEM_ACTOR)
    assert not Artifact.objects.exists()
    # Of one that is gone the links' rows lie as long as it does.
    is_announced = state == Blob.State.LIVE
    assert list(own.values_list("kind", "state")) == [("manifest", "expected")] * is_announced
