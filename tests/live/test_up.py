"""`manage.py up`: its life, and what it says where it cannot start."""

import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from accounts.crypto import ensure_keys
from portal.stack import checks
from portal.stack.errors import CannotStart
from tests.live.stack import PROGRAMS, Stack, refused, wait_for
from tests.ports import free_port

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may be broken."""
    running = Stack(tmp_path_factory.mktemp("own")).start()
    yield running
    running.stop()


class TestRefusals:
    def test_a_second_one_in_the_same_home(self, stack: Stack) -> None:
        line = refused(stack.home, free_port())
        assert "another Moorage is running" in line
        assert stack.is_healthy()

    def test_a_taken_port(self, tmp_path: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            line = refused(tmp_path / "home", port)
        assert f"port {port}" in line
        assert "MOORAGE_PORT" in line

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("MOORAGE_PORT", "abc"),
            ("MOORAGE_PORT", "70000"),
            ("MOORAGE_BIND", "nowhere.invalid"),
            ("MOORAGE_EXTERNAL_URL", "registry.example.com"),
            ("MOORAGE_DATABASE_URL", "mysql://localhost/moorage"),
            ("MOORAGE_BLOB_DELIVERY", "pigeon"),
            ("MOORAGE_MIRROR_PROJECT", ""),
        ],
    )
    def test_a_bad_setting_is_named(self, tmp_path: Path, name: str, value: str) -> None:
        settings = {"MOORAGE_MIRROR_PORT": str(free_port()), "MOORAGE_MIRROR_PROJECT": "hub"}
        assert name in refused(tmp_path / "home", free_port(), **settings | {name: value})

    def test_a_weak_password(self, tmp_path: Path) -> None:
        line = refused(tmp_path / "home", free_port(), MOORAGE_ADMIN_PASSWORD="short")
        assert "MOORAGE_ADMIN_PASSWORD" in line
        assert "12" in line

    def test_a_home_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "home").write_text("")
        assert str(tmp_path / "home") in refused(tmp_path / "home", free_port())

    def test_a_missing_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("portal.stack.checks._PACKAGES", {"no-such-server": "no-such-package"})
        with pytest.raises(CannotStart, match=r"apt-get install -y .*no-such-package"):
            checks.programs()


class TestLife:
    def test_everything_is_healthy_when_it_says_so(self, own: Stack) -> None:
        assert set(own.health()) == {"core", "database", "registry", "storage", "jobservice"}
        assert own.is_healthy()
        assert own.get("/api/v2.0/ping").text == "Pong"

    def test_it_tells_how_to_use_it(self, own: Stack) -> None:
        assert own.url in own.said
        for command in ("docker login", "docker tag", "docker push", "docker pull"):
            assert f"{command} " in own.said
        assert own.admin_password not in own.said

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_killed_program_comes_back(self, own: Stack, program: str) -> None:
        wait_for(own.is_healthy, "health before")
        own.kill(program)
        wait_for(own.is_healthy, f"health after {program} was killed")

    def test_secrets_are_private(self, own: Stack) -> None:
        keys = own.home / "keys"
        assert stat.S_IMODE(keys.stat().st_mode) == 0o700
        secrets = [path for path in keys.iterdir() if path.is_file()]
        assert {"secret-key", "registry-http-secret", "ca.key"} <= {path.name for path in secrets}
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in secrets)

    def test_only_nginx_listens_beyond_loopback(self, own: Stack) -> None:
        wait_for(own.is_healthy, "health")
        assert own.get("/_internal/upload_precheck").status_code == 404
        assert own.get("/_registry/v2/").status_code == 404


class TestEnd:
    def test_two_side_by_side(self, stack: Stack, own: Stack) -> None:
        wait_for(own.is_healthy, "health")
        assert stack.is_healthy()

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_it_stops_without_a_trace_and_remembers(
        self, tmp_path: Path, image: Path, signum: int
    ) -> None:
        first = Stack(tmp_path / "home").start()
        try:
            assert first.push(image, "library/hello:1").returncode == 0
        finally:
            assert first.stop(signum) == 0
        assert first.processes() == {}
        with pytest.raises(requests.ConnectionError):
            first.get("/")
        second = Stack(tmp_path / "home", port=first.port, MOORAGE_ADMIN_PASSWORD="ignored now")
        second.start()
        try:
            pulled = second.pull(
                "library/hello:1", tmp_path / "pulled", password=first.admin_password
            )
            assert pulled.returncode == 0, pulled.stderr
        finally:
            second.stop()

    def test_an_impatient_user_waits_all_the_same(self, tmp_path: Path) -> None:
        stopped = Stack(tmp_path / "home").start()
        for signum in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            stopped.process.send_signal(signum)
        assert stopped.stop() == 0
        assert stopped.processes() == {}

    def test_a_killed_one_leaves_nothing(self, tmp_path: Path) -> None:
        killed = Stack(tmp_path / "home").start()
        killed.process.kill()
        killed.process.communicate()
        wait_for(lambda: killed.processes() == {}, "the end of every process")

    def test_a_program_that_cannot_start_is_named(self, tmp_path: Path) -> None:
        home = tmp_path / "home"
        # The registry refuses to start with a certificate bundle that holds none.
        ensure_keys(home / "keys")
        (home / "keys" / "ca.pem").write_text("no certificate\n")
        line = refused(home, free_port())
        assert "registry does not start" in line
        assert str(home / "logs" / "registry.log") in line

    def test_damaged_keys_are_named(self, tmp_path: Path) -> None:
        keys = tmp_path / "home" / "keys"
        keys.mkdir(parents=True)
        (keys / "ca.pem").write_text("no certificate\n")
        assert str(keys) in refused(tmp_path / "home", free_port())

    def test_a_password_is_made_and_kept(self, tmp_path: Path) -> None:
        made = Stack(tmp_path / "home", MOORAGE_ADMIN_PASSWORD="").start()
        try:
            kept = tmp_path / "home" / "admin-password"
            password = kept.read_text().strip()
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            assert password in made.said
            assert made.token("repository:library/x:pull,push", password=password)
        finally:
            made.stop()
