"""Requests made to be read one way by nginx and another by what is behind it."""

import json

import pytest

from tests.live.client import (
    PASSWORD,
    Answer,
    Client,
    Image,
    client,
    digest_of,
    make_image,
    make_project,
    make_user,
    pusher,
    raw,
    unique,
)
from tests.live.images import MANIFEST
from tests.live.stack import Stack

pytestmark = pytest.mark.live

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture
def name(stack: Stack) -> str:
    """A repository in a private project of its own."""
    return f"{make_project(stack)}/app"


@pytest.fixture
def pushing(stack: Stack, name: str) -> Client:
    """May push there."""
    return pusher(stack, name)


@pytest.fixture
def secret(stack: Stack) -> tuple[str, Image]:
    """An image in another private repository, of which the pusher has no token."""
    name = f"{make_project(stack)}/secret"
    return name, pusher(stack, name).push_image(name)


class TestUploadBody:
    """The registry reads digest, mount and from of a form before those of the query."""

    @pytest.mark.parametrize("method", ["PATCH", "PUT"])
    def test_a_form_names_no_other_digest(
        self, pushing: Client, name: str, secret: tuple[str, Image], method: str
    ) -> None:
        hidden = digest_of(secret[1].layer)
        form = f"digest={hidden}&mount={hidden}&from={secret[0]}".encode()
        upload = pushing.start_upload(name).upload
        if method == "PATCH":
            sent = pushing.ask("PATCH", upload, form, [FORM])
            assert sent.status == 202
            upload, form = sent.upload, form * 2
            sent = pushing.ask(
                "PUT", f"{upload}&digest={digest_of(form)}", form[len(form) // 2 :], [FORM]
            )
        else:
            sent = pushing.ask("PUT", f"{upload}&digest={digest_of(form)}", form, [FORM])
        # What was sent is content and nothing else.
        assert sent.status == 201, sent.body
        assert pushing.ask("GET", f"/v2/{name}/blobs/{digest_of(form)}").body == form
        assert pushing.ask("HEAD", f"/v2/{name}/blobs/{hidden}").status == 404

    def test_a_form_mounts_nothing(
        self, pushing: Client, name: str, secret: tuple[str, Image]
    ) -> None:
        hidden = digest_of(secret[1].layer)
        form = f"mount={hidden}&from={secret[0]}&digest={hidden}".encode()
        started = pushing.ask("POST", f"/v2/{name}/blobs/uploads/", form, [FORM])
        assert started.status == 202
        assert pushing.ask("GET", f"/v2/{name}/blobs/{hidden}").status == 404

    @pytest.mark.parametrize("name_it", ["from", ""])
    def test_a_mount_needs_pull_from_the_source(
        self, pushing: Client, name: str, secret: tuple[str, Image], name_it: str
    ) -> None:
        hidden = digest_of(secret[1].layer)
        query = f"?mount={hidden}" + (f"&from={secret[0]}" if name_it else "")
        assert pushing.start_upload(name, query).status == 202
        assert pushing.ask("HEAD", f"/v2/{name}/blobs/{hidden}").status == 404
        assert pushing.ask("GET", f"/v2/{name}/blobs/{hidden}").status == 404

    @pytest.mark.parametrize("doubled", ["mount", "from"])
    def test_doubled_parameters_of_a_mount(
        self, pushing: Client, name: str, secret: tuple[str, Image], doubled: str
    ) -> None:
        hidden = digest_of(secret[1].layer)
        once = {"mount": hidden, "from": name}
        query = "&".join(f"{key}={value}" for key, value in once.items())
        answer = pushing.start_upload(name, f"?{query}&{doubled}={secret[0]}")
        assert (answer.status, answer.code) == (400, "UNSUPPORTED")

    @pytest.mark.parametrize(
        "query",
        ["", "digest=", "digest={0}&digest={1}", "digest={1};digest={0}", "digest=sha512:ab"],
    )
    def test_a_put_names_one_digest(self, pushing: Client, name: str, query: str) -> None:
        content = b"content"
        other = digest_of(b"other")
        upload = pushing.start_upload(name).upload
        target = f"{upload}&{query.format(digest_of(content), other)}"
        answer = pushing.ask("PUT", target, content)
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
        finished = pushing.ask("PUT", f"{upload}&digest={digest_of(content)}", content)
        assert finished.status == 201

    def test_a_wrong_digest_is_told_in_the_protocols_form(self, pushing: Client, name: str) -> None:
        upload = pushing.start_upload(name).upload
        answer = pushing.ask("PUT", f"{upload}&digest={digest_of(b'other')}", b"content")
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")

    def test_an_upload_belongs_to_its_repository(
        self, stack: Stack, pushing: Client, name: str
    ) -> None:
        theirs_name = f"{make_project(stack)}/theirs"
        theirs = pusher(stack, theirs_name)
        upload = theirs.start_upload(theirs_name).upload
        path, _, state = upload.partition("?")
        session = path.rpartition("/")[2]
        content = b"an intruder's"
        for target in (
            f"/v2/{name}/blobs/uploads/{session}?{state}",
            f"/v2/{name}/blobs/uploads/{session}?x=1",
            upload,
        ):
            ending = f"{target}&digest={digest_of(content)}"
            assert pushing.ask("PATCH", target, content).status in (401, 404), target
            assert pushing.ask("PUT", ending, content).status in (401, 404), target
            assert pushing.ask("GET", target).status in (401, 404), target
            assert pushing.ask("DELETE", target).status in (401, 404), target
        finished = theirs.ask("PUT", f"{upload}&digest={digest_of(b'theirs')}", b"theirs")
        assert finished.status == 201


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/v2/{project}%2Fapp/tags/list",
            "/v2/{project}%2fapp/manifests/latest",
            "/v2/{project}/app%2Ftags/list",
            "/v2/{project}/%2e/app/tags/list",
            "/v2/{project}/b/%2E%2e/app/tags/list",
            "/v2/{project}/b/../app/tags/list",
            "/v2/{project}/./app/tags/list",
            "/v2/{project}/app/tags/list/..",
            "/v2/{project}//app/tags/list",
            "/v2//{project}/app/tags/list",
            "/v2/{project}/app\\tags/list",
            "/v2/{project}/app%5ctags/list",
            "/v2/{project}/app/tags/list%00",
            "/v2/{project}/app%00/tags/list",
            "/%76%32/{project}/app/tags/list",
            "/v2/{project}/app#/tags/list",
            "/static/../v2/{project}/app/tags/list",
            "/x/%2e%2e/v2/{project}/app/tags/list",
            "/v2/{project}%c0%afapp/tags/list",
            "/v2/{project}%252fapp/tags/list",
            "/v2/../v2/{project}/app/tags/list",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
    def test_only_the_plain_form_is_read(self, stack: Stack, path: str, method: str) -> None:
        project = path_project(stack)
        pushing = pusher(stack, f"{project}/app")
        answer = pushing.ask(method, path.format(project=project), b"")
        # Where a name is merely odd, a method that the path does not know may be refused first.
        assert answer.status in ((400,) if method == "GET" else (400, 405)), answer.body
        assert answer.code in ("NAME_INVALID", "BAD_REQUEST", "UNSUPPORTED")

    def test_two_slashes_before_v2_are_no_v2(self, stack: Stack) -> None:
        name = f"{path_project(stack)}/app"
        assert pusher(stack, name).ask("GET", f"//v2/{name}/tags/list").status == 404

    def test_upload_paths_are_read_the_same(self, pushing: Client, name: str) -> None:
        upload = pushing.start_upload(name).upload
        project, _, rest = upload.removeprefix("/v2/").partition("/")
        for target in (
            f"/v2/{project}%2F{rest}",
            f"/v2//{project}/{rest}",
            f"/v2/{project}/x/../{rest}",
            upload.replace("/uploads/", "/uploads//"),
            upload.replace("/uploads/", "/uploads%2f"),
            upload.replace("/uploads/", "/uploads/x/../"),
        ):
            answer = pushing.ask("PATCH", target, b"x")
            assert (answer.status, answer.code) == (400, "NAME_INVALID"), target

    @pytest.mark.parametrize(
        "path",
        [
            "/_storage/{prefix}/{hex}",
            "/_registry/v2/{name}/blobs/sha256:{hex}",
            "/_internal/upload_precheck",
            "/_internal",
            "/_internal/",
            "/_precheck",
            "/_error",
            "/_path",
            "/%5Fstorage/{prefix}/{hex}",
            "/x/../_storage/{prefix}/{hex}",
            "/static/../_storage/{prefix}/{hex}",
            "/static/..%2f..%2fkeys/ca.key",
            "/static../keys/ca.key",
        ],
    )
    def test_what_is_inside_stays_inside(
        self, stack: Stack, secret: tuple[str, Image], path: str
    ) -> None:
        name, image = secret
        pulling = client(stack, f"repository:{name}:pull")
        hexadecimal = digest_of(image.layer).removeprefix("sha256:")
        target = path.format(prefix=hexadecimal[:2], hex=hexadecimal, name=name)
        answer = pulling.ask("GET", target)
        assert answer.status in (400, 404), answer.body
        assert image.layer not in answer.body
        assert b"PRIVATE KEY" not in answer.body


_path_projects: dict[int, str] = {}


def path_project(stack: Stack) -> str:
    """Return one project for all odd paths: none of them changes anything."""
    if stack.port not in _path_projects:
        _path_projects[stack.port] = make_project(stack)
    return _path_projects[stack.port]


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        [
            "X-Accel-Redirect: /_storage/{prefix}/{hex}",
            "X-Original-URI: /v2/{name}/blobs/uploads/x?digest=sha256:{hex}",
            "X-Original-Method: PATCH",
            "X-Original-URL: /v2/{secret}/blobs/sha256:{hex}",
            "X-Rewrite-URL: /v2/{secret}/blobs/sha256:{hex}",
            "X-HTTP-Method-Override: DELETE",
            "X-Moorage-Status: 204",
            "X-Moorage-Code: OK",
            "X_Original_URI: /v2/{name}/blobs/uploads/x",
            "X-Registry-Auth: Bearer x",
            "X-Forwarded-Prefix: /v2/{secret}",
            "Forwarded: host=evil.example;proto=https",
            "X-Forwarded-Host: evil.example",
            "Connection: Authorization, X-Real-IP",
        ],
    )
    def test_a_client_cannot_say_what_only_nginx_may(
        self, pushing: Client, name: str, secret: tuple[str, Image], header: str
    ) -> None:
        hidden = digest_of(secret[1].layer)
        key, _, value = header.partition(": ")
        hexadecimal = hidden.removeprefix("sha256:")
        value = value.format(prefix=hexadecimal[:2], hex=hexadecimal, name=name, secret=secret[0])
        said = [(key, value)]
        assert pushing.ask("GET", f"/v2/{name}/blobs/{hidden}", None, said).status == 404
        assert pushing.ask("GET", f"/v2/{secret[0]}/blobs/{hidden}", None, said).status == 401
        upload = pushing.start_upload(name).upload
        assert upload.startswith(f"/v2/{name}/")
        # The precheck still sees the real request: no digest, no end of the upload.
        assert pushing.ask("PUT", upload, b"x", said).code == "DIGEST_INVALID"
        unsigned = Client(pushing.port).ask("GET", f"/v2/{name}/tags/list", None, said)
        assert "evil.example" not in str(unsigned.headers)

    def test_the_throttle_goes_by_the_real_address(self, stack: Stack) -> None:
        user = make_user(stack)
        statuses = []
        for number in range(8):
            spoofed = f"203.0.113.{number}"
            answer = stack.get(
                "/service/token",
                auth=(user, "wrong"),
                headers={"X-Forwarded-For": spoofed, "X-Real-IP": spoofed, "Forwarded": spoofed},
            )
            statuses.append(answer.status_code)
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert int(answer.headers["Retry-After"]) > 0

    @pytest.mark.parametrize("order", ["{right}{wrong}", "{wrong}{right}"])
    def test_two_tokens_are_refused(
        self, stack: Stack, pushing: Client, name: str, order: str
    ) -> None:
        right = f"Authorization: Bearer {pushing.token}\r\n"
        both = order.format(right=right, wrong="Authorization: Bearer x\r\n")
        answer = raw(
            stack,
            f"GET /v2/{name}/tags/list HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{both}\r\n",
        )
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 401")), answer


class TestSizes:
    def test_a_manifest_beyond_the_limit(self, pushing: Client, name: str) -> None:
        huge = json.dumps({"annotations": {"a": "x" * (5 * 1024 * 1024)}}).encode()
        answer = pushing.push_manifest(name, "huge", huge)
        assert (answer.status, answer.code) == (413, "SIZE_INVALID")
        assert pushing.ask("GET", f"/v2/{name}/manifests/huge").status == 404

    def test_a_manifest_beyond_the_limit_in_chunks(self, pushing: Client, name: str) -> None:
        parts = iter([b'{"a":"', *[b"x" * 65536] * 80, b'"}'])
        answer = pushing.ask(
            "PUT", f"/v2/{name}/manifests/huge", parts, [("Content-Type", MANIFEST)]
        )
        assert (answer.status, answer.code) == (413, "SIZE_INVALID")

    def test_a_manifest_in_chunks(self, pushing: Client, name: str) -> None:
        image = make_image(name.encode())
        for blob in (image.config, image.layer):
            pushing.push_blob(name, blob)
        parts = iter([image.manifest[:10], image.manifest[10:]])
        pushed = pushing.ask("PUT", f"/v2/{name}/manifests/a", parts, [("Content-Type", MANIFEST)])
        assert pushed.status == 201
        assert pushing.ask("GET", f"/v2/{name}/manifests/a").body == image.manifest

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/v2/{name}/blobs/uploads/", 64 * 1024),
            ("/v2/{name}/tags/list", 1024 * 1024),
            ("/v2/_catalog", 1024 * 1024),
            ("/service/token", 1024 * 1024),
            ("/api/v2.0/projects", 1024 * 1024),
        ],
    )
    def test_every_other_body_is_small(
        self, pushing: Client, name: str, path: str, allowed: int
    ) -> None:
        answer = pushing.ask("POST", path.format(name=name), b"x" * (allowed + 1))
        assert (answer.status, answer.code) == (413, "SIZE_INVALID")

    def test_a_layer_may_be_larger(self, pushing: Client, name: str) -> None:
        content = b"0123456789abcdef" * (6 * 1024 * 1024 // 16)
        digest = pushing.push_blob(name, content)
        assert pushing.ask("GET", f"/v2/{name}/blobs/{digest}").body == content


class TestPrecheck:
    """The question before a PUT tells no more than the token endpoint does."""

    def test_a_stranger_learns_of_no_project(self, stack: Stack, name: str) -> None:
        nowhere_name = unique("project") + "/app"
        member = client(stack, f"repository:{name}:push", make_user(stack), PASSWORD)
        for stranger in (member, Client(stack.port), Client(stack.port, "no token")):
            there = _upload_put(stranger, name)
            nowhere = _upload_put(stranger, nowhere_name)
            assert there.status == nowhere.status == 401
            assert there.body == nowhere.body
            challenge = there.headers["WWW-Authenticate"].replace(name, nowhere_name)
            assert challenge == nowhere.headers["WWW-Authenticate"]


def _upload_put(asking: Client, name: str) -> Answer:
    return asking.ask("PUT", f"/v2/{name}/blobs/uploads/x?digest={digest_of(b'x')}", b"x")
