"""The demo's projects: what a team with a payment service might have pushed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from portal.demo.images import OPAQUE, WHITEOUT, Artifact, Step, artifact, filler, image, index

PROJECT = "payments"
_KIB = 1024
# version, architecture, time of the build → the image.
Build = Callable[[str, str, str], Artifact]
_ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, slots=True)
class Entry:
    """One push: to which repository, under which tags."""

    repository: str
    artifact: Artifact
    tags: tuple[str, ...] = ()


def entries() -> Iterator[Entry]:
    """Yield everything in the order of its pushing."""
    yield Entry("library/base", _index(_base, "3.22", "2026-10-02T08:00:00Z"), ("3.22", "latest"))
    yield Entry(f"{PROJECT}/api", _index(_api, "1.3.9", "2026-10-20T09:12:00Z"), ("1.3.9", "1.3"))
    yield Entry(f"{PROJECT}/api", _index(_api, "1.4.0", "2026-11-02T10:31:00Z"), ("1.4.0",))
    yield Entry(f"{PROJECT}/api", _index(_api, "1.4.1", "2026-11-11T14:05:00Z"), ("1.4.1",))
    current = _index(_api, "1.4.2", "2026-11-23T07:44:00Z")
    yield Entry(f"{PROJECT}/api", current, ("1.4.2", "1.4", "1", "latest"))
    yield Entry(f"{PROJECT}/api", _signature(current))
    yield Entry(f"{PROJECT}/api", _sbom(current))
    yield Entry(
        f"{PROJECT}/api", _index(_api, "1.5.0-rc.1", "2026-11-21T16:20:00Z"), ("1.5.0-rc.1",)
    )
    yield Entry(f"{PROJECT}/api", _api("pr-812", "amd64", "2026-11-23T15:02:00Z"), ("pr-812",))
    yield Entry(
        f"{PROJECT}/worker", _index(_worker, "2.1", "2026-11-18T11:00:00Z"), ("2.1", "latest")
    )
    yield Entry(f"{PROJECT}/charts/api", _chart("1.4.2"), ("1.4.2",))


def _index(build: Build, version: str, created: str) -> Artifact:
    annotations = {
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.source": "https://git.example.com/payments/api",
    }
    images = {
        architecture: build(version, architecture, created) for architecture in _ARCHITECTURES
    }
    return index(images, annotations)


def _base_steps(architecture: str) -> list[Step]:
    return [
        Step(
            "ADD rootfs.tar.gz / # buildkit",
            {
                "etc/": b"",
                "etc/os-release": b'NAME="Demo Linux"\nVERSION_ID=3.22\n',
                "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/app:/bin/sh\n",
                "bin/sh": filler(f"sh {architecture}", 420 * _KIB),
                "lib/libc.so": filler(f"libc {architecture}", 610 * _KIB),
                "usr/share/doc/README": b"The base of the demo's images.\n" * 40,
            },
        ),
        Step('CMD ["/bin/sh"]'),
    ]


def _base(version: str, architecture: str, created: str) -> Artifact:
    return image(
        _base_steps(architecture),
        architecture=architecture,
        created=created,
        config={"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["/bin/sh"]},
    )


def _api(version: str, architecture: str, created: str) -> Artifact:
    steps = [
        *_base_steps(architecture),
        Step(
            "RUN /bin/sh -c apk add --no-cache ca-certificates tzdata # buildkit",
            {
                "etc/ssl/certs/ca-certificates.crt": filler("certificates", 180 * _KIB),
                "usr/share/zoneinfo/Asia/Taipei": filler("Taipei", 2 * _KIB),
                "var/cache/apk/index.tar.gz": filler("package index", 350 * _KIB),
            },
        ),
        Step(
            "COPY dist/ /app/ # buildkit",
            {
                "app/": b"",
                "app/bin/api": filler(f"api {version} {architecture}", 900 * _KIB),
                "app/config.yaml": b"listen: :8080\nlog: debug\n",
                "app/templates/receipt.html": b"<h1>Receipt</h1>\n" * 60,
            },
        ),
        Step(
            "RUN /bin/sh -c rm /var/cache/apk/index.tar.gz # buildkit",
            {
                f"var/cache/apk/{WHITEOUT}index.tar.gz": b"",
                "app/config.yaml": b"listen: :8080\nlog: info\n",
                f"app/templates/{OPAQUE}": b"",
                "app/templates/receipt.html": b"<h1>Receipt</h1>\n" * 80,
            },
        ),
        Step("EXPOSE map[8080/tcp:{}]"),
        Step("USER app"),
        Step('ENTRYPOINT ["/app/bin/api"]'),
    ]
    return image(
        steps,
        architecture=architecture,
        created=created,
        config={
            "User": "app",
            "WorkingDir": "/app",
            "Env": ["PATH=/app/bin:/usr/bin:/bin", f"VERSION={version}", "TZ=Asia/Taipei"],
            "Entrypoint": ["/app/bin/api"],
            "Cmd": ["--config", "/app/config.yaml"],
            "ExposedPorts": {"8080/tcp": {}},
            "Volumes": {"/app/data": {}},
            "Labels": {
                "org.opencontainers.image.title": "Payment API",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.source": "https://git.example.com/payments/api",
            },
        },
    )


def _worker(version: str, architecture: str, created: str) -> Artifact:
    steps = [
        *_base_steps(architecture),
        Step(
            "COPY worker /app/bin/worker # buildkit",
            {"app/bin/worker": filler(f"worker {version} {architecture}", 700 * _KIB)},
        ),
        Step('ENTRYPOINT ["/app/bin/worker"]'),
    ]
    return image(
        steps,
        architecture=architecture,
        created=created,
        config={"Env": ["PATH=/app/bin:/bin"], "Entrypoint": ["/app/bin/worker"]},
    )


def _signature(subject: Artifact) -> Artifact:
    payload = {
        "critical": {
            "identity": {"docker-reference": f"{PROJECT}/api"},
            "image": {"docker-manifest-digest": subject.digest},
            "type": "cosign container image signature",
        },
        "optional": None,
    }
    layer = ("application/vnd.dev.cosign.simplesigning.v1+json", json.dumps(payload).encode())
    return artifact(
        artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json",
        layers=[layer],
        subject=subject,
        annotations={"org.opencontainers.image.created": "2026-11-23T07:46:00Z"},
    )


def _sbom(subject: Artifact) -> Artifact:
    packages = [
        {"name": name, "versionInfo": version}
        for name, version in (("ca-certificates", "20260909"), ("tzdata", "2026c"))
    ]
    document = {"spdxVersion": "SPDX-2.3", "name": f"{PROJECT}/api", "packages": packages}
    return artifact(
        artifact_type="application/spdx+json",
        layers=[("application/spdx+json", json.dumps(document).encode())],
        subject=subject,
    )


def _chart(version: str) -> Artifact:
    chart = {"apiVersion": "v2", "name": "api", "version": version, "appVersion": version}
    return artifact(
        artifact_type="",
        config=("application/vnd.cncf.helm.config.v1+json", json.dumps(chart).encode()),
        layers=[("application/vnd.cncf.helm.chart.content.v1.tar+gzip", filler("chart", 6 * _KIB))],
    )
