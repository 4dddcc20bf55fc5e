"""The kinds of registries there are, as data: what differs between them is little.

Each speaks the OCI distribution specification; where a kind makes its tokens at another host, that
host may see the password. Three are managed by an API of their own, each a class of
``registry_sync.client``. What was tested against which stands in ``docs/replication.md``.
"""

from dataclasses import dataclass

from registry_sync.client.amazon import AmazonRegistry
from registry_sync.client.docker_hub import DockerHubRegistry
from registry_sync.client.harbor import HarborRegistry
from registry_sync.client.managed import ManagedRegistry


@dataclass(frozen=True, slots=True)
class Adapter:
    """What is particular about a kind."""

    label: str
    # Where it is, where there is only one; else what people fill in.
    url: str = ""
    # Hosts that make its tokens, besides its own; ``*`` stands for one part of a name.
    realms: tuple[str, ...] = ()
    # How it is managed.
    client: type[ManagedRegistry] = ManagedRegistry
    # Whether uploads in pieces are known to work.
    takes_pieces: bool = True
    # Whether it says of its artifacts which labels they have.
    tells_labels: bool = False


ADAPTERS: dict[str, Adapter] = {
    "docker-registry": Adapter("Docker Registry"),
    "harbor": Adapter("Harbor / Moorage", client=HarborRegistry, tells_labels=True),
    "docker-hub": Adapter(
        "Docker Hub",
        "https://registry-1.docker.io",
        ("auth.docker.io",),
        client=DockerHubRegistry,
    ),
    "aws-ecr": Adapter("Amazon ECR", client=AmazonRegistry),
    "github-ghcr": Adapter("GitHub GHCR", "https://ghcr.io"),
    "quay": Adapter("Quay", "https://quay.io", takes_pieces=False),
    "gitlab": Adapter("GitLab", "https://registry.gitlab.com", ("gitlab.com",)),
    "ali-acr": Adapter(
        "Alibaba ACR 阿里雲", realms=("dockerauth.*.aliyuncs.com", "dockerauth-vpc.*.aliyuncs.com")
    ),
    "tencent-tcr": Adapter("Tencent TCR 騰訊雲"),
    "huawei-SWR": Adapter("Huawei SWR 華為雲"),
    "azure-acr": Adapter("Azure ACR"),
    "google-gcr": Adapter("Google GCR / Artifact Registry"),
    "jfrog-artifactory": Adapter("JFrog Artifactory"),
}


def is_realm(kind: str, host: str) -> bool:
    """Return whether this kind makes its tokens at that host."""
    return any(_fits(host, pattern) for pattern in ADAPTERS[kind].realms)


def _fits(host: str, pattern: str) -> bool:
    parts, wanted = host.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(
        want in {"*", part} for part, want in zip(parts, wanted, strict=True)
    )
