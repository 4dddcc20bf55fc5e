"""A whole Moorage on a bucket: the registry's own S3 driver writes there, clients read there."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from registry_sync.storage.bucket import Bucket
from registry_sync.storage.s3 import S3Storage
from tests.buckets import Service
from tests.live.client import blobs_of, run_in
from tests.live.stack import Stack

pytestmark = pytest.mark.live


# In one process: each start costs more than what it does. At a grace of one second the first run
# purges, which counts grace anew; the second collects.
_CHECK_AND_COLLECT = """
import time
from django.core.management import call_command
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
from registry_sync import dispatch, garbage, tasks, trash
from registry_sync.models import Artifact
call_command("fsck", "--deep")
call_command("reconcile", "--here")
call_command("import_registry", "--here")
Project.objects.update(trash_days=0)
artifact = Artifact.objects.get(repository__path="checked")
trash.delete_artifact(artifact.repository, artifact.digest, actor=SYSTEM_ACTOR)
for _again in range(2):
    time.sleep(1.1)
    parameters = garbage.parameters_of({})
    execution = dispatch.start(garbage.KIND, actor=SYSTEM_ACTOR, parameters=parameters)
    task = execution.tasks.get()
    tasks.run_here(task.pk)
    while task.finished_at is None:
        time.sleep(0.1)
        task.refresh_from_db()
    print("collection", task.state, task.message, task.result)
call_command("fsck", "--deep")
"""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """An S3 service."""
    running = Service().start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def bucket(service: Service) -> Bucket:
    """An empty bucket that keeps versions."""
    return service.bucket(has_versions=True, prefix="registry/root")


@pytest.fixture(scope="module")
def own(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that runs on it."""
    with pytest.MonkeyPatch.context() as patch:
        # Debian's registry, with a wrapped transport, ends where this is set.
        patch.delenv("AWS_CA_BUNDLE", raising=False)
        yield from _running(bucket, tmp_path_factory.mktemp("on-bucket"))


def _running(bucket: Bucket, home: Path) -> Iterator[Stack]:
    running = Stack(
        home,
        MOORAGE_S3_BUCKET=bucket.name,
        MOORAGE_S3_PREFIX=bucket.prefix,
        MOORAGE_S3_ENDPOINT=bucket.endpoint,
        MOORAGE_S3_ACCESS_KEY=bucket.access_key,
        MOORAGE_S3_SECRET_KEY=bucket.secret_key,
        MOORAGE_GC_GRACE="1",
        MOORAGE_UNSAFE_GC_GRACE="1",
    ).start()
    yield running
    running.stop()


def test_what_is_pushed_lies_in_the_bucket_and_is_pulled_from_it(
    own: Stack, bucket: Bucket, index: Path, tmp_path: Path
) -> None:
    done = own.push(index, "library/app:1.0")
    assert done.returncode == 0, done.stderr
    storage = S3Storage(bucket)
    assert "library/app" in set(storage.repositories())
    for digest, content in blobs_of(index).items():
        assert storage.read(digest, limit=2**30) == content
    done = own.pull("library/app:1.0", tmp_path / "pulled")
    assert done.returncode == 0, done.stderr
    assert blobs_of(tmp_path / "pulled") == blobs_of(index)
    (layer, *_others) = storage.links("library/app", "layer")
    token = own.token("repository:library/app:pull")
    path = f"/v2/library/app/blobs/{layer}"
    answer = own.get(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 307
    with requests.Session() as session:
        session.trust_env = False
        fetched = session.get(answer.headers["Location"], timeout=10)
    assert f"sha256:{hashlib.sha256(fetched.content).hexdigest()}" == layer
    assert own.get(path).status_code == 401


def test_garbage_leaves_it_and_checks_look_into_it(own: Stack, bucket: Bucket, image: Path) -> None:
    assert own.push(image, "library/checked:1.0").returncode == 0
    storage = S3Storage(bucket)
    (manifest,) = storage.links("library/checked", "manifest")
    said = run_in(own, _CHECK_AND_COLLECT)
    assert said.count("; 0 findings") == 2, said
    assert "0 differences are left" in said
    # An import in place reads the bucket, and finds everything here.
    assert "unchanged: " in said
    assert "done: " not in said
    assert "left out" not in said, said
    assert said.count("collection succeeded") == 2, said
    assert storage.links("library/checked", "manifest") == {}, said
    assert storage.size(manifest) is None
