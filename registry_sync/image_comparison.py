"""Two images side by side: layers, files, packages, configuration."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from registry_sync import image_analysis, layer_indexes
from registry_sync.layers import compare
from registry_sync.layers.compare import Files
from registry_sync.layers.packages import Package
from registry_sync.models import Artifact, ArtifactBlob, ImageAnalysis, LayerIndex


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """One setting that differs; what looks like a secret is not shown."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the second image differs from the first."""

    base_layers: list[ArtifactBlob]
    head_layers: list[ArtifactBlob]
    # From the bottom, by the layers' digests.
    shared: int
    # Bytes that a node with the first image downloads for the second.
    download: int
    configuration: list[ConfigurationChange]
    # Empty, or none, while the layers have not been read.
    files: Files | None = None
    packages: list[tuple[str, str, str, str]] = field(default_factory=list)
    base_result: dict[str, Any] = field(default_factory=dict)
    head_result: dict[str, Any] = field(default_factory=dict)


def compare_images(base: Artifact, head: Artifact) -> Comparison:
    """Compare two images; their files only where both were read, which is asked for here."""
    base_layers, head_layers = _layers(base), _layers(head)
    base_digests = [layer.blob_id for layer in base_layers]
    head_digests = [layer.blob_id for layer in head_layers]
    have = set(base_digests)
    missing = {layer.blob_id: layer.size for layer in head_layers if layer.blob_id not in have}
    facts = Comparison(
        base_layers=base_layers,
        head_layers=head_layers,
        shared=compare.compare_layers(base_digests, head_digests),
        download=sum(missing.values()),
        configuration=compare_configurations(base.config, head.config),
    )
    results = _results(base, head)
    if results is None:
        return facts
    indexes = layer_indexes.by_digest([*base_digests, *head_digests])
    left, right = results
    return Comparison(
        base_layers=facts.base_layers,
        head_layers=facts.head_layers,
        shared=facts.shared,
        download=facts.download,
        configuration=facts.configuration,
        files=_files(base_digests, head_digests, indexes, shared=facts.shared),
        packages=compare.compare_packages(_packages(left), _packages(right)),
        base_result=left,
        head_result=right,
    )


def compare_configurations(base: object, head: object) -> list[ConfigurationChange]:
    """Return what differs in how containers run."""
    before, after = _settings(base), _settings(head)
    return [
        ConfigurationChange(name, _shown(name, before.get(name)), _shown(name, after.get(name)))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


_WORDS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "APIKEY", "API_KEY", "PRIVATE", "CREDENTIAL")


def _shown(name: str, value: str | None) -> str:
    if value is None:
        return ""
    return "••••••" if any(word in name.upper() for word in _WORDS) else value


def _settings(config: object) -> dict[str, str]:
    """Flatten the part of a configuration that says how containers run, with distrust."""
    found: dict[str, str] = {}
    document = config if isinstance(config, dict) else {}
    for key in ("os", "architecture", "variant"):
        if isinstance(document.get(key), str):
            found[key] = document[key]
    run = document.get("config")
    for key, value in (run if isinstance(run, dict) else {}).items():
        if key == "Env" and isinstance(value, list):
            for line in value:
                name, _equals, content = str(line).partition("=")
                found[f"Env {name}"] = content
        elif key in ("Labels", "ExposedPorts", "Volumes") and isinstance(value, dict):
            found |= {f"{key} {name}": str(content or "") for name, content in value.items()}
        elif value not in (None, "", [], {}, False):
            found[str(key)] = str(value)
    return found


def _layers(artifact: Artifact) -> list[ArtifactBlob]:
    return list(artifact.blobs.filter(position__gt=0).order_by("position"))


def _results(base: Artifact, head: Artifact) -> tuple[dict[str, Any], dict[str, Any]] | None:
    wanted = {base.digest, head.digest}
    rows = ImageAnalysis.objects.filter(digest__in=wanted, version=image_analysis.VERSION)
    found = {row.digest: row.result for row in rows}
    if found.keys() != wanted:
        image_analysis.request(wanted, is_urgent=True)
        return None
    if any(result.get("error") for result in found.values()):
        return None
    return found[base.digest], found[head.digest]


def _files(
    base: Sequence[str], head: Sequence[str], indexes: dict[str, LayerIndex], *, shared: int
) -> Files | None:
    if not indexes.keys() >= {*base, *head}:
        return None
    if len(base) == len(head) == shared:
        return Files()
    return compare.compare_files(
        [layer_indexes.directories(indexes[digest]) for digest in base],
        [layer_indexes.directories(indexes[digest]) for digest in head],
    )


def _packages(result: dict[str, Any]) -> list[Package]:
    return [Package(*row[:3]) for row in result.get("packages", [])]
