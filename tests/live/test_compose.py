"""docker-compose.yml brought up for real: `make compose-test` installs what it needs and runs it.

Not part of `make test`: making the base image and building take minutes.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.live.composed import SERVICES, Composed, copy_tree, engine, folder, make_base
from tests.live.stack import wait_for

pytestmark = pytest.mark.compose

NEEDED = ("dockerd", "docker", "docker-compose", "debootstrap", "skopeo")
OURS = ("nginx", "registry", "gateway", "web", "worker", "beat")


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """One composed Moorage, built from the working tree."""
    for program in NEEDED:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if os.geteuid() != 0:
        pytest.skip("the engine starts as root only")
    tree = tmp_path_factory.mktemp("tree")
    copy_tree(tree)
    with folder() as directory, engine(directory) as address:
        make_base(directory, address)
        running = Composed(tmp_path_factory.mktemp("home"), tree, address)
        try:
            running.compose("build")
            running.up()
            yield running
        finally:
            running.compose("down", "-v")


def pull_and_compare(composed: Composed, image: Path, target: Path) -> None:
    """Pull what was pushed; every byte is the same."""
    pulled = composed.pull("library/hello:1", target)
    assert pulled.returncode == 0, pulled.stderr
    for blob in (image / "blobs/sha256").iterdir():
        assert (target / "blobs/sha256" / blob.name).read_bytes() == blob.read_bytes()


def sign_in(composed: Composed) -> requests.Response:
    """Sign in on the page as a browser does; return the first page after it."""
    with requests.Session() as session:
        session.trust_env = False
        page = session.get(f"{composed.url}/account/sign-in", timeout=30)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        data = {"username": "admin", "password": composed.admin_password}
        return session.post(
            page.url,
            data=data | {"csrfmiddlewaretoken": token[1]},
            headers={"Referer": page.url},
            timeout=30,
        )


class TestUse:
    def test_push_pull_and_sign_in(self, composed: Composed, image: Path, tmp_path: Path) -> None:
        pushed = composed.push(image, "library/hello:1")
        assert pushed.returncode == 0, pushed.stderr
        pull_and_compare(composed, image, tmp_path / "pulled")
        first = sign_in(composed)
        assert first.status_code == 200
        assert first.url == f"{composed.url}/"

    def test_static_files(self, composed: Composed) -> None:
        page = composed.get("/account/sign-in").text
        style = re.search(r'href="(/static/[^"]+\.css)"', page)
        assert style is not None
        assert composed.get(style[1]).headers["Content-Type"].startswith("text/css")


class TestSafety:
    def test_nobody_is_root_and_nothing_can_be_changed(self, composed: Composed) -> None:
        for service in OURS:
            assert composed.execute(service, "id", "-u") == "10001", service
            assert composed.inspect(service, "{{.HostConfig.ReadonlyRootfs}}") == "true", service

    def test_the_public_door_reads_the_storage_only(self, composed: Composed) -> None:
        tried = ("sh", "-c", "touch /var/lib/moorage/registry/x 2>/dev/null || echo refused")
        assert composed.execute("nginx", *tried) == "refused"
        assert composed.execute("nginx", "sh", "-c", "ls /run/secrets 2>/dev/null | wc -l") == "0"
        assert composed.execute("nginx", "ls", "/var/lib/moorage/keys") == ""
        assert composed.execute("registry", "ls", "/var/lib/moorage/keys") == ""

    def test_no_secret_is_in_an_environment_or_a_command(self, composed: Composed) -> None:
        secrets = [path.read_text().strip() for path in (composed.tree / "secrets").iterdir()]
        for service in SERVICES:
            shown = composed.inspect(service, "{{json .Config}}")
            shown += composed.docker("top", composed.container(service), "-o", "pid,args")
            assert not [secret for secret in secrets if secret in shown], service

    def test_only_nginx_is_believed_about_the_caller(self, composed: Composed) -> None:
        """A failed sign-in is counted for the address it came from."""
        path = "/service/token?service=moorage&scope=repository:library/hello:pull"
        composed.get(path, auth=("nobody", "wrong-password"), headers={"X-Real-IP": "6.6.6.6"})
        script = (
            "import http.client;"
            "c = http.client.HTTPConnection('gateway', 8000);"
            f"c.request('GET', {path!r}, headers={{'Host': 'localhost', 'X-Real-IP': '8.8.8.8',"
            " 'Authorization': 'Basic bm9ib2R5Ondyb25nLXBhc3N3b3Jk'});"
            "print(c.getresponse().status)"
        )
        assert composed.execute("worker", "python", "-c", script) == "401"
        keys = composed.query("SELECT key FROM accounts_throttlecounter WHERE key LIKE 'address:%'")
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        assert not {"address:6.6.6.6", "address:8.8.8.8"} & set(keys)
        assert {f"address:{one}" for one in composed.inspect("worker", form).split()} & set(keys)
        nginx = {f"address:{one}" for one in composed.inspect("nginx", form).split()}
        assert not nginx & set(keys)


class TestLife:
    @pytest.mark.parametrize("service", SERVICES)
    def test_a_killed_program_comes_back(self, composed: Composed, service: str) -> None:
        composed.kill(service)
        counted = "{{.RestartCount}}"
        wait_for(lambda: composed.inspect(service, counted) != "0", f"a restart of {service}")
        wait_for(composed.all_healthy, f"health after {service} was killed")

    def test_a_gateway_at_another_address_is_found(self, composed: Composed) -> None:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        before = set(composed.inspect("gateway", form).split())
        composed.compose("rm", "-sf", "gateway")
        network = ("--network", "moorage-test_edge", "--entrypoint", "sleep")
        squatter = composed.docker("run", "-d", "--rm", *network, "moorage", "600")
        try:
            composed.compose("up", "-d", "--no-deps", "gateway")
            assert set(composed.inspect("gateway", form).split()) != before
            wait_for(composed.all_healthy, "the gateway")
        finally:
            composed.docker("rm", "-f", squatter)

    def test_down_and_up_keeps_everything(
        self, composed: Composed, image: Path, tmp_path: Path
    ) -> None:
        assert composed.push(image, "library/hello:1").returncode == 0
        composed.compose("down")
        with pytest.raises(requests.ConnectionError):
            composed.get("/")
        composed.up()
        pull_and_compare(composed, image, tmp_path / "pulled")
        assert sign_in(composed).url == f"{composed.url}/"
