"""Twenty pushes at once into a project with room for ten."""

import threading

import pytest
from django.db import connection

from accounts.errors import Denied
from accounts.models import OutboxEvent, Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import catalog
from registry_sync.models import Artifact, ProjectBlob, ProjectUsage
from tests.conftest import Cast
from tests.factories import make_image, make_repository, prepare_push


@pytest.mark.django_db(transaction=True)
def test_ten_of_twenty_get_in(cast: Cast) -> None:
    images = [make_image(f"same length {number:02}") for number in range(20)]
    (size,) = {image.size for image in images}
    Project.objects.filter(pk=cast.team.pk).update(storage_limit=10 * size + size // 2)
    repositories = [make_repository(cast.team, f"r{number}") for number in range(20)]
    pushes = [
        prepare_push(repository, image, "latest")
        for repository, image in zip(repositories, images, strict=True)
    ]
    denied: list[str] = []
    start = threading.Barrier(20)

    def push(number: int) -> None:
        start.wait()
        try:
            catalog.commit_manifest(repositories[number], pushes[number], actor=SYSTEM_ACTOR)
        except Denied as error:
            denied.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=push, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(denied) == 10
    assert Artifact.objects.count() == 10
    assert ProjectUsage.objects.get().used_bytes == 10 * size
    assert sum(ProjectBlob.objects.values_list("size", flat=True)) == 10 * size
    assert OutboxEvent.objects.filter(kind="quota.warning").count() == 1
