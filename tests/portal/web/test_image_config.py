"""Reading what builders wrote down."""

import pytest

from portal.web.image_config import believable, instruction, run_config, steps
from registry_sync.models import ArtifactBlob


@pytest.mark.parametrize(
    ("written", "keyword", "arguments"),
    [
        ('/bin/sh -c #(nop)  CMD ["bash"]', "CMD", '["bash"]'),
        ("/bin/sh -c #(nop) ADD file:a1 in / ", "ADD", "file:a1 in /"),
        ("/bin/sh -c apt-get update", "RUN", "apt-get update"),
        ("RUN /bin/sh -c apk add curl # buildkit", "RUN", "apk add curl"),
        ("RUN |1 VERSION=2 /bin/sh -c make # buildkit", "RUN", "make"),
        ("|2 A=1 B=2 /bin/sh -c make", "RUN", "make"),
        ("COPY . /app # buildkit", "COPY", ". /app"),
        ("WORKDIR /app", "WORKDIR", "/app"),
        ("bazel build //image", "", "bazel build //image"),
        ("", "", ""),
    ],
)
def test_instructions_are_told_from_what_surrounds_them(
    written: str, keyword: str, arguments: str
) -> None:
    assert instruction(written) == (keyword, arguments)


def layers(*sizes: int) -> list[ArtifactBlob]:
    """Make layers, bottom first."""
    return [ArtifactBlob(position=n, size=size) for n, size in enumerate(sizes, 1)]


def test_a_history_without_layers_is_matched_from_the_bottom() -> None:
    config = {
        "history": [{"created_by": "ADD a /"}, {"created_by": "ENV A=1", "empty_layer": True}]
    }
    found = steps(config, layers(50, 100))
    assert [(step.number, step.keyword) for step in found] == [(1, "ADD"), (None, "ENV"), (2, "")]
    assert [step.percent for step in found] == [50.0, 0.0, 100.0]


def test_a_history_that_names_too_many_layers_keeps_its_instructions() -> None:
    found = steps({"history": [{"created_by": "ADD a /"}, {"created_by": "RUN b"}]}, layers(1))
    assert [(step.number, step.keyword) for step in found] == [(1, "ADD"), (None, "RUN")]


def test_a_shell_gets_a_terminal() -> None:
    run = run_config({"config": {"Cmd": ["/bin/sh"]}})
    assert run.docker_run("host/a/b:1") == "docker run --rm -it host/a/b:1"


def test_what_is_odd_is_quoted() -> None:
    odd: dict[str, object] = {"ExposedPorts": {"53/udp": {}, "$(id)": {}}, "Volumes": {"/": {}}}
    command = run_config({"config": odd}).docker_run("host/a/b:1")
    assert "-p 53:53/udp" in command
    assert "'$(id):$(id)'" in command
    assert "-v data:/" in command


@pytest.mark.parametrize("config", [None, [], "x", {"config": 3}, {"config": {"Env": {}}}])
def test_nonsense_reads_as_nothing(config: object) -> None:
    assert run_config(config).environment == []
    assert steps(config, []) == []


def test_a_build_time_made_up_for_reproducibility_is_not_believed() -> None:
    assert believable("1970-01-01T00:00:00Z") is None
    assert believable("2026-13-40T00:00:00Z") is None
    assert believable(17) is None
    read = believable("2026-11-18T09:08:00Z")
    assert read is not None
    assert read.year == 2026
