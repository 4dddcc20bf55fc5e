"""What the gateway relies on in a registry: held by the one in memory and by the real one."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests
from django.db import transaction

from registry_sync.client.errors import RegistryRejectedError, RegistryUnavailableError
from registry_sync.client.registry import RegistryClient
from registry_sync.manifests import DOCKER_LIST, OCI_MANIFEST
from registry_sync.upstream import registry_token
from tests import bare_registry
from tests.factories import (
    Image,
    descriptor,
    digest_of,
    encoded,
    make_image,
    make_index,
    some_digest,
)
from tests.fakes import FakeRegistry
from tests.ports import free_port

NAME = "team/app"


@dataclass(frozen=True)
class Subject:
    """A registry with the way by which a client's bytes reach it."""

    client: RegistryClient | FakeRegistry
    upload: Callable[[str, bytes], str]

    def upload_all(self, image: Image, name: str = NAME) -> None:
        """Upload every blob of an image."""
        for blob in image.blobs:
            self.upload(name, blob)

    def put(self, image: Image, name: str = NAME) -> None:
        """Store a manifest."""
        self.client.put_manifest(name, image.digest, image.media_type, image.content)


@pytest.fixture(scope="module")
def real_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a registry as ``manage.py up`` does; yield its address."""
    with bare_registry.running(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def real(real_registry: str) -> Iterator[Subject]:
    """A real registry, with a client of its own."""
    client = RegistryClient(real_registry, registry_token)

    def upload(name: str, content: bytes) -> str:
        digest = digest_of(content)
        location = client.start_upload(name).location
        response = requests.put(
            f"{real_registry}{location}",
            params={"digest": digest},
            data=content,
            headers={
                "Authorization": f"Bearer {registry_token([(name, ('pull', 'push'))])}",
                "Content-Type": "application/octet-stream",
            },
            timeout=10,
        )
        assert response.status_code == 201
        return digest

    yield Subject(client, upload)
    client.close()


@pytest.fixture(params=["in memory", pytest.param("real", marks=pytest.mark.live)])
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each registry in turn."""
    if request.param == "real":
        found: Subject = request.getfixturevalue("real")
        return found
    fake = FakeRegistry()
    return Subject(fake, fake.upload)


class TestBlobs:
    def test_an_uploaded_one_is_there_with_its_size(self, subject: Subject) -> None:
        digest = subject.upload(NAME, b"twelve bytes")
        assert subject.client.head_blob(NAME, digest) == 12

    def test_one_that_never_came_is_not(self, subject: Subject) -> None:
        assert subject.client.head_blob(NAME, some_digest()) is None
        assert subject.client.get_blob(NAME, some_digest(), limit=10) is None

    def test_one_of_another_repository_is_not(self, subject: Subject) -> None:
        digest = subject.upload("team/other", b"bytes of the other")
        assert subject.client.head_blob("team/never", digest) is None

    def test_its_bytes_come_back(self, subject: Subject) -> None:
        digest = subject.upload(NAME, b"twelve bytes")
        assert subject.client.get_blob(NAME, digest, limit=12) == b"twelve bytes"

    def test_one_over_the_limit_is_none(self, subject: Subject) -> None:
        digest = subject.upload(NAME, b"twelve bytes")
        assert subject.client.get_blob(NAME, digest, limit=11) is None

    def test_it_is_read_as_far_as_wanted(self, subject: Subject) -> None:
        digest = subject.upload(NAME, b"twelve bytes")
        with subject.client.open_blob(NAME, digest) as stream:
            assert stream is not None
            assert (stream.read(6), stream.read(100), stream.read(1)) == (b"twelve", b" bytes", b"")
        with subject.client.open_blob(NAME, some_digest()) as stream:
            assert stream is None


class TestUploads:
    def test_one_starts_with_a_place_for_the_bytes(self, subject: Subject) -> None:
        upload = subject.client.start_upload(NAME)
        assert not upload.is_mounted
        assert upload.upload_id
        assert upload.location.startswith(f"/v2/{NAME}/blobs/uploads/{upload.upload_id}?")

    def test_an_open_one_holds_no_byte(self, subject: Subject) -> None:
        session = subject.client.start_upload(NAME).location.rpartition("/")[2]
        assert subject.client.upload_offset(NAME, session) == 0

    def test_a_blob_is_mounted_where_the_source_holds_it(self, subject: Subject) -> None:
        digest = subject.upload("team/base", b"a layer of the base")
        assert subject.client.start_upload("team/mnt", mount=digest, source="team/base").is_mounted
        assert subject.client.head_blob("team/mnt", digest) == 19

    @pytest.mark.parametrize("source", ["team/elsewhere", ""])
    def test_without_such_a_source_it_is_a_plain_upload(
        self, subject: Subject, source: str
    ) -> None:
        digest = subject.upload("team/base", b"a layer of the base")
        upload = subject.client.start_upload("team/plain", mount=digest, source=source)
        assert not upload.is_mounted
        assert upload.location.startswith("/v2/team/plain/blobs/uploads/")
        assert subject.client.head_blob("team/plain", digest) is None


class TestManifests:
    @pytest.mark.parametrize("is_docker", [True, False])
    def test_one_whose_blobs_are_here_is_stored(self, subject: Subject, *, is_docker: bool) -> None:
        image = make_image(is_docker=is_docker)
        subject.upload_all(image)
        subject.put(image)
        subject.put(image)

    def test_one_without_layers_is_stored(self, subject: Subject) -> None:
        image = make_image(layers=())
        subject.upload_all(image)
        subject.put(image)

    @pytest.mark.parametrize("lost", [0, 1])
    def test_a_missing_blob_is_named(self, subject: Subject, lost: int) -> None:
        image = make_image()
        subject.upload(NAME, image.blobs[1 - lost])
        with pytest.raises(RegistryRejectedError) as error:
            subject.put(image)
        assert (error.value.status, error.value.code) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert error.value.digests == (digest_of(image.blobs[lost]),)

    def test_every_missing_blob_is_named(self, subject: Subject) -> None:
        image = make_image(layers=(b"lost one", b"kept", b"lost two"))
        subject.upload("team/lossy", b"kept")
        with pytest.raises(RegistryRejectedError) as error:
            subject.put(image, "team/lossy")
        lost = {digest_of(blob) for blob in image.blobs if blob != b"kept"}
        assert set(error.value.digests) == lost

    def test_a_blob_of_another_repository_is_missing(self, subject: Subject) -> None:
        image = make_image()
        subject.upload_all(image, "team/other")
        with pytest.raises(RegistryRejectedError) as error:
            subject.put(image)
        assert error.value.code == "MANIFEST_BLOB_UNKNOWN"

    def test_a_digest_that_is_not_the_bytes_is_refused(self, subject: Subject) -> None:
        image = make_image()
        subject.upload_all(image)
        with pytest.raises(RegistryRejectedError) as error:
            subject.client.put_manifest(NAME, some_digest(), image.media_type, image.content)
        assert (error.value.status, error.value.code) == (400, "DIGEST_INVALID")

    @pytest.mark.parametrize("content", [b"", b"nothing"])
    def test_what_is_no_manifest_is_refused(self, subject: Subject, content: bytes) -> None:
        with pytest.raises(RegistryRejectedError) as error:
            subject.client.put_manifest(NAME, digest_of(content), OCI_MANIFEST, content)
        assert (error.value.status, error.value.code) == (400, "MANIFEST_INVALID")

    def test_an_index_of_what_is_here_is_stored(self, subject: Subject) -> None:
        children = (make_image(), make_image())
        for child in children:
            subject.upload_all(child)
            subject.put(child)
        subject.put(make_index(*children))
        docker = make_index(*children, mediaType=DOCKER_LIST)
        subject.put(Image(DOCKER_LIST, docker.content))

    def test_an_index_whose_child_is_missing_is_refused(self, subject: Subject) -> None:
        child = make_image()
        with pytest.raises(RegistryRejectedError) as error:
            subject.put(make_index(child))
        assert error.value.code == "MANIFEST_BLOB_UNKNOWN"
        assert error.value.digests == (child.digest,)

    def test_an_index_of_blobs_is_stored(self, subject: Subject) -> None:
        """BuildKit's cache."""
        layer = Image("application/vnd.oci.image.layer.v1.tar+gzip", b"a cached layer")
        subject.upload(NAME, layer.content)
        subject.put(make_index(layer))

    @pytest.mark.parametrize(
        ("is_docker", "layer_type"),
        [
            (False, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
            (True, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        ],
    )
    def test_a_foreign_layer_with_urls_may_be_missing(
        self, subject: Subject, *, is_docker: bool, layer_type: str
    ) -> None:
        foreign = descriptor(b"bytes elsewhere", layer_type, urls=["https://example.com/x"])
        image = make_image(layers=(), is_docker=is_docker)
        content = image.content.replace(b'"layers": []', b'"layers": [' + encoded(foreign) + b"]")
        subject.upload_all(image)
        subject.put(Image(image.media_type, content))

    def test_a_subject_need_not_be_here(self, subject: Subject) -> None:
        image = make_image(subject=descriptor(b"never pushed", OCI_MANIFEST))
        subject.upload_all(image)
        subject.put(image)


@pytest.mark.live
def test_uploads_of_a_blob_that_is_here_disturb_nobody(real: Subject) -> None:
    """The registry empties a link before it writes it anew; without patience 1 in 30 fails here."""
    image = make_image()
    real.upload_all(image)
    done = threading.Event()

    def upload() -> None:
        while not done.is_set():
            real.upload_all(image)

    threads = [threading.Thread(target=upload) for _number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _time in range(150):
            real.put(image)
            assert real.client.head_blob(NAME, digest_of(image.blobs[0])) == len(image.blobs[0])
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_registry_that_does_not_listen_is_unavailable() -> None:
    port = free_port()
    client = RegistryClient(f"http://127.0.0.1:{port}", lambda _access: "token")
    with pytest.raises(RegistryUnavailableError):
        client.head_blob(NAME, some_digest())


def test_a_registry_that_breaks_off_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

        registry = threading.Thread(target=answer)
        registry.start()
        client = RegistryClient(f"http://127.0.0.1:{server.getsockname()[1]}", lambda _access: "x")
        with pytest.raises(RegistryUnavailableError):
            client.get_blob(NAME, some_digest(), limit=50)
        registry.join()
        client.close()


def test_a_connection_that_the_registry_closed_is_made_anew() -> None:
    """A registry that was started again must not cost a push."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        is_closed = threading.Event()

        def answer() -> None:
            for _time in range(2):
                connection, _address = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                is_closed.set()

        threading.Thread(target=answer, daemon=True).start()
        client = RegistryClient(f"http://127.0.0.1:{server.getsockname()[1]}", lambda _access: "x")
        assert client.head_blob(NAME, some_digest()) == 100
        assert is_closed.wait(10)
        assert client.head_blob(NAME, some_digest()) == 100
        client.close()


def test_an_answer_cut_short_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nhalf")

        threading.Thread(target=answer, daemon=True).start()
        client = RegistryClient(f"http://127.0.0.1:{server.getsockname()[1]}", lambda _access: "x")
        with pytest.raises(RegistryUnavailableError):
            client.put_manifest(NAME, some_digest(), OCI_MANIFEST, b"{}")
        client.close()


@pytest.mark.live
def test_a_token_that_the_registry_refuses_is_trouble_of_ours(real_registry: str) -> None:
    client = RegistryClient(real_registry, lambda _access: "no token")
    with pytest.raises(RegistryUnavailableError):
        client.head_blob(NAME, some_digest())
    client.close()


@pytest.mark.django_db
def test_the_one_in_memory_may_not_be_called_inside_a_transaction() -> None:
    fake = FakeRegistry()
    fake.head_blob(NAME, some_digest())
    with transaction.atomic(), pytest.raises(AssertionError, match="inside a transaction"):
        fake.head_blob(NAME, some_digest())
