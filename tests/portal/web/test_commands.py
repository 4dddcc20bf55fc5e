"""Commands that can be run as they stand."""

import pytest
from pytest_django import Settings

from portal.web.commands import Tool, pull_by_digest, pull_by_tag

HELM = "application/vnd.cncf.helm.config.v1+json"


@pytest.fixture(params=[True, False], ids=["https", "http"])
def is_https(request: pytest.FixtureRequest, settings: Settings) -> bool:
    settings.MOORAGE_IS_HTTPS = request.param
    settings.MOORAGE_EXTERNAL_URL = "https://hub.example" if request.param else "http://hub.example"
    return bool(request.param)


def test_each_tool_is_told_when_there_is_no_tls(*, is_https: bool) -> None:
    expected = {
        "docker": "docker push hub.example/a/b",
        "podman": "podman push --tls-verify=false hub.example/a/b",
        "nerdctl": "nerdctl --insecure-registry push hub.example/a/b",
    }
    for name, command in expected.items():
        plain = command.replace("--tls-verify=false ", "").replace("--insecure-registry ", "")
        assert Tool(name).push("hub.example/a/b") == (plain if is_https else command)


def test_each_kind_is_pulled_with_its_own_tool(*, is_https: bool) -> None:
    flag = "" if is_https else "--plain-http "
    docker = Tool("docker")
    image = pull_by_tag(docker, name="a/b", tag="1", kind="image", artifact_type="")
    assert image == "docker pull hub.example/a/b:1"
    chart = pull_by_tag(docker, name="a/b", tag="1", kind="other", artifact_type=HELM)
    assert chart == f"helm pull {flag}oci://hub.example/a/b --version 1"
    other = pull_by_digest(docker, name="a/b", digest="sha256:0", kind="other")
    assert other == f"oras pull {flag}hub.example/a/b@sha256:0"
