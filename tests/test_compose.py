"""docker-compose.yml: what must hold in it, without a Docker engine."""

import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal.stack import containers

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yml"
ONE_SHOT = {"setup"}
OURS = {"setup", "nginx", "registry", "gateway", "web", "worker", "beat"}
FOREIGN = {"postgres", "redis"}
SECRETS = {"secret_key", "database_password", "redis_password", "admin_password"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as YAML; the variables stay as they are."""
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    """Its services."""
    found: dict[str, Any] = compose["services"]
    return found


class TestServices:
    def test_each_program_has_one(self, services: dict[str, Any]) -> None:
        assert set(services) == OURS | FOREIGN

    def test_all_that_stay_have_a_health_check_and_come_back(
        self, services: dict[str, Any]
    ) -> None:
        for name in set(services) - ONE_SHOT:
            assert services[name]["healthcheck"]["test"], name
            assert services[name]["restart"] == "unless-stopped", name
        for name in ONE_SHOT:
            assert services[name]["restart"] == "no"

    def test_they_wait_for_what_they_need(self, services: dict[str, Any]) -> None:
        for name in OURS - ONE_SHOT - {"nginx"}:
            condition = services[name]["depends_on"]["setup"]["condition"]
            assert condition == "service_completed_successfully", name
        waits = services["nginx"]["depends_on"].items()
        assert {(name, entry["condition"]) for name, entry in waits} == {
            (name, "service_healthy") for name in ("registry", "gateway", "web")
        }

    def test_only_the_public_door_is_published_and_on_loopback_by_default(
        self, services: dict[str, Any]
    ) -> None:
        published = {name: entry["ports"] for name, entry in services.items() if "ports" in entry}
        assert published == {"nginx": ["${MOORAGE_BIND:-127.0.0.1}:${MOORAGE_PORT:-8080}:8080"]}

    def test_the_mirrors_door_is_published_by_a_file_of_its_own(self) -> None:
        ports = yaml.safe_load((ROOT / "docker-compose.mirror.yml").read_text())["services"]
        assert set(ports) == {"nginx"}
        [published] = ports["nginx"]["ports"]
        assert published.startswith("${MOORAGE_BIND:-127.0.0.1}:${MOORAGE_MIRROR_PORT:?")
        assert published.endswith(f":{containers.MIRROR_PORT}")

    def test_ours_may_do_nothing_special(self, services: dict[str, Any]) -> None:
        for name in OURS:
            assert services[name]["read_only"] is True
            assert services[name]["cap_drop"] == ["ALL"]
            assert services[name]["security_opt"] == ["no-new-privileges:true"]
            assert services[name]["image"] == "${MOORAGE_IMAGE:-moorage:latest}"
            assert "user" not in services[name]
            assert "privileged" not in services[name]
        assert not [entry for entry in services.values() if entry.get("network_mode")]

    def test_no_version_and_no_name(self, compose: dict[str, Any]) -> None:
        assert set(compose) - {"services", "networks", "volumes", "secrets"} == {
            "x-moorage",
            "x-environment",
            "x-django",
        }


class TestSecrets:
    def test_each_is_a_file_outside_of_git_and_image(self, compose: dict[str, Any]) -> None:
        assert compose["secrets"] == {name: {"file": f"./secrets/{name}"} for name in SECRETS}
        assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
        assert "*" in (ROOT / ".dockerignore").read_text().splitlines()

    def test_none_is_written_down(self, services: dict[str, Any]) -> None:
        for name, entry in services.items():
            for variable, value in (entry.get("environment") or {}).items():
                if re.search("PASSWORD|SECRET", variable):
                    assert variable.endswith("_FILE"), name
                    assert str(value).startswith("/run/secrets/"), name
                assert not re.search(r"://[^/]*:[^/@]*@", str(value)), name

    def test_each_goes_only_where_it_is_needed(self, services: dict[str, Any]) -> None:
        given = {name: set(entry.get("secrets", ())) for name, entry in services.items()}
        assert given.pop("setup") == SECRETS
        assert given.pop("nginx") == given.pop("registry") == set()
        assert given.pop("postgres") == {"database_password"}
        assert given.pop("redis") == {"redis_password"}
        for name, secrets in given.items():
            assert secrets == SECRETS - {"admin_password"}, name

    def test_they_are_made_once(self, tmp_path: Path) -> None:
        directory = tmp_path / "secrets"
        command = [str(ROOT / "deploy" / "make-secrets"), str(directory)]
        subprocess.run(command, check=True, capture_output=True)
        made = {path.name: path.read_text().strip() for path in directory.iterdir()}
        assert set(made) == SECRETS
        assert len(set(made.values())) == len(SECRETS)
        assert all(re.fullmatch(r"[\w-]{48}", value) for value in made.values())
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        # The users inside the containers read them, whoever owns them here.
        assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o644}
        (directory / "admin_password").unlink()
        subprocess.run(command, check=True, capture_output=True)
        again = {path.name: path.read_text().strip() for path in directory.iterdir()}
        assert again.pop("admin_password") != made.pop("admin_password")
        assert again == made


class TestReach:
    def test_the_database_side_has_no_way_out(
        self, compose: dict[str, Any], services: dict[str, Any]
    ) -> None:
        assert compose["networks"]["data"] == {"internal": True}
        networks = {name: set(entry["networks"]) for name, entry in services.items()}
        assert networks["nginx"] == networks["registry"] == {"edge"}
        assert networks["postgres"] == networks["redis"] == {"data"}

    def test_volumes(self, compose: dict[str, Any], services: dict[str, Any]) -> None:
        used: dict[str, set[str]] = {}
        for name, entry in services.items():
            for mount in entry.get("volumes", ()):
                volume, _, rest = mount.partition(":")
                used.setdefault(volume, set()).add(f"{name}{':ro' if rest.endswith(':ro') else ''}")
        assert set(used) == set(compose["volumes"])
        # The keys sign tokens: neither the public door nor the registry sees them.
        assert used["keys"] == {"setup", "gateway", "web", "worker"}
        assert used["registry-config"] == {"setup", "registry:ro"}
        assert used["storage"] == {"setup", "registry", "web", "worker", "nginx:ro", "gateway:ro"}
        assert used["postgres"] == {"postgres"}


def test_the_base_image_can_be_replaced(services: dict[str, Any]) -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    assert "ARG BASE_IMAGE=debian:bookworm-slim" in lines
    assert {line for line in lines if line.startswith("FROM ")} == {
        "FROM ${BASE_IMAGE} AS build",
        "FROM ${BASE_IMAGE}",
    }
    build = services["setup"]["build"]
    assert build["args"] == {"BASE_IMAGE": "${BASE_IMAGE:-debian:bookworm-slim}"}
    assert services["postgres"]["image"].startswith("${POSTGRES_IMAGE:-")
    assert services["redis"]["image"].startswith("${REDIS_IMAGE:-")
