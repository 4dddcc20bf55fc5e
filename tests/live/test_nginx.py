"""nginx's configuration alone, between a client and upstreams that say what they were asked."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.front import Front, started

pytestmark = pytest.mark.live
UPLOAD = "/v2/team/app/blobs/uploads/7f0c?_state=a%2Fb"
HEX = "ab" * 32


def error_code(body: bytes) -> str:
    """Return the code of a JSON error."""
    return str(json.loads(body)["errors"][0]["code"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Start everything."""
    with started(tmp_path_factory.mktemp("nginx")) as front:
        yield front


@pytest.fixture
def front(running: Front) -> Front:
    """The same, with upstreams that answer 200."""
    for upstream in (running.gateway, running.web, running.registry):
        upstream.tell(200)
    return running


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/v2/a%2Fb/tags/list",
            "/v2/a%2fb/tags/list",
            "/v2/a/%2e%2E/b/tags/list",
            "/v2/a%5Cb/tags/list",
            "/v2/a\\b/tags/list",
            "/v2/a%00b/tags/list",
            "/v2//a/tags/list",
            "/v2/a/./tags/list",
            "/v2/a/../tags/list",
            "/v2/../../etc",
            "/v2/a/tags/..",
            "/v2/a/blobs/uploads/x#/../y",
            "/%762/a/tags/list",
            "/static/../v2/a/tags/list",
            "/x/%2e%2e/v2/",
        ],
    )
    def test_ambiguous_ones_go_nowhere(self, front: Front, path: str) -> None:
        status, headers, body = front.ask("GET", path)
        assert status == 400
        assert headers["content-type"].startswith("application/json")
        assert error_code(body) in {"NAME_INVALID", "BAD_REQUEST"}
        assert not front.gateway.seen + front.web.seen + front.registry.seen

    def test_a_query_may_hold_anything(self, front: Front) -> None:
        path = "/v2/team/app/blobs/uploads/?mount=sha256%3Aabc&from=team%2F..%2Fother"
        front.ask("POST", path)
        assert front.gateway.seen[0]["path"] == path

    @pytest.mark.parametrize(
        "path", ["/v2/", "/v2", "/v2/a/manifests/x", "/v2/_catalog", "/service/token"]
    )
    def test_the_gateway_answers(self, front: Front, path: str) -> None:
        assert front.ask("GET", path)[2] == b"gateway"

    @pytest.mark.parametrize("path", ["/", "/p/team", "/api/v2.0/projects/team/a%252Fb", "/v22"])
    def test_the_web_answers(self, front: Front, path: str) -> None:
        assert front.ask("GET", path)[2] == b"web"
        assert front.web.seen[0]["path"] == path

    @pytest.mark.parametrize(
        "name", ["team/app", "x/blobs/uploads", "manifests", "tags/list", "v2/x", "a/b/c/d"]
    )
    @pytest.mark.parametrize("method", ["PATCH", "GET", "DELETE"])
    def test_the_registry_answers_for_an_upload(self, front: Front, name: str, method: str) -> None:
        assert front.ask(method, f"/v2/{name}/blobs/uploads/7f0c")[2] == b"registry"
        assert not front.gateway.seen

    @pytest.mark.parametrize(
        "path", ["/_internal/upload_precheck", "/_mirror/v2/", "/_precheck", "/_error"]
    )
    def test_inner_ones_do_not_exist(self, front: Front, path: str) -> None:
        assert front.ask("GET", path)[0] == 404
        assert not front.gateway.seen + front.web.seen

    def test_a_post_never_reaches_the_registry(self, front: Front) -> None:
        status, _, body = front.ask("POST", UPLOAD, body=b"x")
        assert (status, error_code(body)) == (405, "UNSUPPORTED")
        assert not front.registry.seen + front.gateway.seen


class TestHeaders:
    def test_a_client_cannot_speak_as_a_proxy(self, front: Front) -> None:
        names = (
            "X-Real-IP X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-User "
            "Forwarded X-Request-Id X-Original-URI X-Original-Method X-Accel-Redirect "
            "X-Moorage-Status X-Registry-Auth X_Real_IP"
        )
        lies = dict.fromkeys(names.split(), "10.0.0.1")
        for path in ("/v2/", "/", "/api/x", "/v2/a/blobs/uploads/x"):
            front.ask("GET", path, headers=lies | {"Host": "registry.test"})
        for seen in (*front.gateway.seen, *front.web.seen):
            headers = seen["headers"]
            assert headers["host"] == "registry.test"
            assert headers["x-real-ip"] == headers["x-forwarded-for"] == "127.0.0.1"
            assert headers["x-forwarded-proto"] == "https"
            assert len(headers["x-request-id"]) == 32
            assert "10.0.0.1" not in headers.values()
        [upload] = front.registry.seen
        assert upload["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert "x-forwarded-host" not in upload["headers"]

    def test_all_accept_lines_arrive(self, front: Front) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)) as connection:
            connection.putrequest("GET", "/v2/a/manifests/x")
            for number in range(6):
                connection.putheader("Accept", f"application/vnd.{number}+json")
            connection.endheaders()
            connection.getresponse().read()
        assert len(front.gateway.seen[0]["accept"]) == 6

    def test_the_registry_cannot_point_nginx_at_files(self, front: Front) -> None:
        front.registry.tell(200, X_Accel_Redirect="/_internal/")
        assert front.ask("PATCH", UPLOAD, body=b"x")[2] == b"registry"
        front.web.tell(200, X_Accel_Redirect="/_error")
        assert front.ask("GET", "/")[2] == b"web"


class TestUploads:
    def test_a_form_is_no_form_to_the_registry(self, front: Front) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        front.ask("PATCH", UPLOAD, body=b"digest=x", headers=form)
        assert front.registry.seen[0]["headers"]["content-type"] == "application/octet-stream"

    def test_a_put_is_asked_about_first(self, front: Front) -> None:
        front.gateway.tell(204)
        path = f"{UPLOAD}&digest=sha256%3A{HEX}"
        body = b"x" * 3_000_000
        assert front.ask("PUT", path, body=body, headers={"Authorization": "Bearer t"})[0] == 200
        [asked] = front.gateway.seen
        assert asked["path"] == "/_internal/upload_precheck"
        assert asked["headers"]["x-original-uri"] == path
        assert asked["headers"]["x-original-method"] == "PUT"
        assert asked["headers"]["authorization"] == "Bearer t"
        assert asked["body"] == b""
        assert front.registry.seen[0]["body"] == body

    @pytest.mark.parametrize("status", [400, 404, 409, 413, 429, 503])
    def test_a_refusal_keeps_its_status(self, front: Front, status: int) -> None:
        front.gateway.tell(403, X_Moorage_Status=str(status), X_Moorage_Code="NAME_UNKNOWN")
        told, headers, body = front.ask("PUT", UPLOAD, body=b"x")
        assert (told, error_code(body)) == (status, "NAME_UNKNOWN")
        assert ("retry-after" in headers) == (status in {429, 503})
        assert not front.registry.seen

    def test_a_refusal_without_words_is_a_denial(self, front: Front) -> None:
        front.gateway.tell(403, X_Moorage_Code='"}<script>')
        status, _, body = front.ask("PUT", UPLOAD, body=b"x")
        assert (status, error_code(body)) == (403, "DENIED")

    def test_a_missing_token_is_challenged(self, front: Front) -> None:
        front.gateway.tell(401, WWW_Authenticate='Bearer realm="r"')
        status, headers, body = front.ask("PUT", UPLOAD, body=b"x")
        assert (status, error_code(body)) == (401, "UNAUTHORIZED")
        assert headers["www-authenticate"] == 'Bearer realm="r"'

    def test_the_registrys_challenge_arrives(self, front: Front) -> None:
        front.registry.tell(401, WWW_Authenticate='Bearer realm="r"')
        status, headers, _ = front.ask("PATCH", UPLOAD, body=b"x")
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="r"')

    def test_a_precheck_that_fails_is_no_permission(self, front: Front) -> None:
        front.gateway.tell(500)
        status, headers, body = front.ask("PUT", UPLOAD, body=b"x")
        assert (status, error_code(body)) == (503, "UNAVAILABLE")
        assert "retry-after" in headers
        assert not front.registry.seen

    def test_the_registrys_own_trouble_is_not_told(self, front: Front) -> None:
        front.registry.tell(500)
        status, _, body = front.ask("PATCH", UPLOAD, body=b"x")
        assert (status, error_code(body)) == (503, "UNAVAILABLE")


class TestLimits:
    @pytest.mark.parametrize(
        ("method", "path", "limit"),
        [
            ("PUT", "/v2/team/app/manifests/latest", 4 * 2**20 + 64 * 2**10),
            ("POST", "/v2/team/app/blobs/uploads/", 64 * 2**10),
            ("DELETE", "/v2/team/app/blobs/sha256:abc", 2**20),
            ("POST", "/api/v2.0/projects", 2**20),
            ("POST", "/service/token", 2**20),
        ],
    )
    @pytest.mark.parametrize("is_chunked", [False, True])
    def test_as_much_as_allowed(
        self, front: Front, method: str, path: str, limit: int, *, is_chunked: bool
    ) -> None:
        def body(size: int) -> bytes | Iterator[bytes]:
            return iter([b"x" * size]) if is_chunked else b"x" * size

        upstream = front.web if path.startswith("/api") else front.gateway
        assert front.ask(method, path, body=body(limit))[0] == 200
        assert upstream.seen[0]["headers"]["content-length"] == str(limit)
        status, _, told = front.ask(method, path, body=body(limit + 1))
        assert (status, error_code(told)) == (413, "SIZE_INVALID")
        assert len(upstream.seen) == 1


class TestBlobs:
    @pytest.fixture
    def blob(self, front: Front) -> bytes:
        """A blob in the storage, which the gateway permits to send."""
        content = bytes(range(256)) * 100
        path = front.home.storage / "docker/registry/v2/blobs/sha256" / HEX[:2] / HEX / "data"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.permit(front, f"/_storage/{HEX[:2]}/{HEX}")
        return content

    def permit(self, front: Front, target: str) -> None:
        front.gateway.tell(
            200,
            X_Accel_Redirect=target,
            X_Registry_Auth="Bearer inner",
            ETag=f'"sha256:{HEX}"',
            Docker_Content_Digest=f"sha256:{HEX}",
            Content_Type="application/octet-stream",
            Content_Disposition="attachment",
            Content_Security_Policy="sandbox",
            Cache_Control="private, max-age=60",
        )

    def test_the_gateways_headers_go_with_it(self, front: Front, blob: bytes) -> None:
        status, headers, body = front.ask("GET", f"/v2/team/app/blobs/sha256:{HEX}")
        assert (status, body) == (200, blob)
        assert headers["etag"] == f'"sha256:{HEX}"'
        assert headers["docker-content-digest"] == f"sha256:{HEX}"
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"] == "attachment"
        assert headers["content-security-policy"] == "sandbox"
        assert headers["cache-control"] == "private, max-age=60"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["docker-distribution-api-version"] == "registry/2.0"
        assert "last-modified" not in headers
        assert "x-registry-auth" not in headers

    def test_ranges(self, front: Front, blob: bytes) -> None:
        path = f"/v2/team/app/blobs/sha256:{HEX}"
        status, headers, body = front.ask("GET", path, headers={"Range": "bytes=10-19"})
        assert (status, body) == (206, blob[10:20])
        assert headers["content-range"] == f"bytes 10-19/{len(blob)}"
        same = {"Range": "bytes=10-19", "If-Range": f'"sha256:{HEX}"'}
        assert front.ask("GET", path, headers=same)[0] == 206
        other = {"Range": "bytes=10-19", "If-Range": '"another"'}
        assert front.ask("GET", path, headers=other)[0] == 200
        status, headers, body = front.ask("GET", path, headers={"Range": "bytes=99999999-"})
        assert (status, error_code(body)) == (416, "RANGE_INVALID")
        assert headers["content-range"] == f"bytes */{len(blob)}"

    def test_missing_bytes_are_unknown(self, front: Front) -> None:
        self.permit(front, f"/_storage/cd/{'cd' * 32}")
        status, _, body = front.ask("GET", f"/v2/team/app/blobs/sha256:{HEX}")
        assert (status, error_code(body)) == (404, "BLOB_UNKNOWN")

    def test_from_the_registry(self, front: Front) -> None:
        self.permit(front, f"/_registry/v2/key/app/blobs/sha256:{HEX}")
        front.registry.tell(200, Content_Type="text/html", ETag='"other"', Cache_Control="public")
        status, headers, body = front.ask(
            "GET",
            f"/v2/team/app/blobs/sha256:{HEX}",
            headers={"Authorization": "Bearer outer", "Range": "bytes=0-1"},
        )
        assert (status, body) == (200, b"registry")
        [asked] = front.registry.seen
        assert asked["path"] == f"/v2/key/app/blobs/sha256:{HEX}"
        assert asked["headers"]["authorization"] == "Bearer inner"
        assert asked["headers"]["range"] == "bytes=0-1"
        assert headers["etag"] == f'"sha256:{HEX}"'
        assert headers["content-type"] == "application/octet-stream"
        assert headers["cache-control"] == "private, max-age=60"
        assert headers["content-security-policy"] == "sandbox"

    @pytest.mark.parametrize(
        ("theirs", "ours", "code"),
        [(404, 404, "BLOB_UNKNOWN"), (401, 503, "UNAVAILABLE"), (500, 503, "UNAVAILABLE")],
    )
    def test_the_registrys_refusal_is_ours(
        self, front: Front, theirs: int, ours: int, code: str
    ) -> None:
        self.permit(front, f"/_registry/v2/key/app/blobs/sha256:{HEX}")
        front.registry.tell(theirs)
        status, _, body = front.ask("GET", f"/v2/team/app/blobs/sha256:{HEX}")
        assert (status, error_code(body)) == (ours, code)


class TestMirror:
    """The second listener."""

    @pytest.mark.parametrize(
        ("path", "inner"),
        [
            ("/v2/", "/_mirror/v2/"),
            ("/v2", "/_mirror/v2/"),
            (
                "/v2/library/alpine/manifests/3?ns=docker.io",
                "/_mirror/v2/library/alpine/manifests/3?ns=docker.io",
            ),
            (f"/v2/a/blobs/sha256:{HEX}", f"/_mirror/v2/a/blobs/sha256:{HEX}"),
            (
                "/service/token?scope=repository%3Aa%3Apull",
                "/_mirror/service/token?scope=repository%3Aa%3Apull",
            ),
        ],
    )
    def test_the_gateway_is_asked_for_a_mirrors_name(
        self, front: Front, path: str, inner: str
    ) -> None:
        assert front.ask("GET", path, port=front.mirror_port)[2] == b"gateway"
        assert [seen["path"] for seen in front.gateway.seen] == [inner]

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", ["/v2/a/manifests/x", "/v2/a/blobs/uploads/7f0c"])
    def test_nothing_is_written(self, front: Front, method: str, path: str) -> None:
        status, _, body = front.ask(method, path, body=b"x", port=front.mirror_port)
        assert (status, error_code(body)) == (405, "UNSUPPORTED")
        assert not front.gateway.seen + front.registry.seen

    @pytest.mark.parametrize(
        "path",
        ["/", "/api/v2.0/ping", "/static/a.css", "/_mirror/v2/", "/_internal/upload_precheck"],
    )
    def test_nothing_else_is_there(self, front: Front, path: str) -> None:
        assert front.ask("GET", path, port=front.mirror_port)[0] == 404
        assert not front.gateway.seen + front.web.seen

    @pytest.mark.parametrize("path", ["/v2/a/../b/tags/list", "/v2/a%2Fb/tags/list"])
    def test_ambiguous_paths_go_nowhere(self, front: Front, path: str) -> None:
        status, _, body = front.ask("GET", path, port=front.mirror_port)
        assert (status, error_code(body)) == (400, "NAME_INVALID")
        assert not front.gateway.seen

    def test_a_permitted_blob_is_sent_from_the_storage(self, front: Front) -> None:
        blob = front.home.storage / f"docker/registry/v2/blobs/sha256/ee/{'ee' * 32}/data"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(b"layer")
        front.gateway.tell(200, X_Accel_Redirect=f"/_storage/ee/{'ee' * 32}")
        path = f"/v2/library/alpine/blobs/sha256:{'ee' * 32}"
        assert front.ask("GET", path, port=front.mirror_port)[::2] == (200, b"layer")


def test_static_files_are_kept_long_only_with_a_hash(front: Front) -> None:
    static: Path = front.home.root / "static"
    (static / "a.css").write_text("a{}")
    (static / "a.0123456789ab.css").write_text("a{}")
    plain = front.ask("GET", "/static/a.css")[1]
    hashed = front.ask("GET", "/static/a.0123456789ab.css")[1]
    assert plain["content-type"] == hashed["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in hashed["cache-control"]
    assert "immutable" not in plain["cache-control"]
    assert front.ask("GET", "/static/../nginx.conf")[2] == b"web"
    assert front.ask("GET", "/static/none.css")[0] == 404
