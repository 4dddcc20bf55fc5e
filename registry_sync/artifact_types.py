"""The types of artifacts as Harbor names them: ``IMAGE``, ``CHART``, ``CNAI``, ``ROCKET``…"""

import re

from django.db.models import Q

from registry_sync.models import Artifact

UNKNOWN = "UNKNOWN"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
# The type that stands for each artifact type or configuration's media type.
_KNOWN = {
    HELM_CONFIG: "CHART",
    "application/vnd.cncf.model.config.v1+json": "CNAI",
    "application/vnd.cncf.model.manifest.v1+json": "CNAI",
    "application/vnd.goharbor.harbor.sbom.v1": "SBOM",
    "application/vnd.wasm.config.v0+json": "WASM",
    "application/vnd.wasm.config.v1+json": "WASM",
}
# Any other configuration's media type may hold the name: …vnd.acme.rocket.config.v1+json.
_NAMED = re.compile(r"application/vnd\.[^.]*\.(.*)\.config\.[^.]*\+json")
_NAME = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,127}")


def type_of(artifact: Artifact) -> str:
    """Return the type, in capitals."""
    if artifact.kind in {Artifact.Kind.IMAGE, Artifact.Kind.INDEX}:
        return "IMAGE"
    known = _KNOWN.get(artifact.artifact_type)
    if known is not None:
        return known
    named = _NAMED.fullmatch(artifact.artifact_type)
    return named[1].upper() if named and _NAME.fullmatch(named[1].upper()) else UNKNOWN


def has_type(name: str) -> Q:
    """Return the condition under which ``type_of`` gives this name."""
    wanted = name.upper()
    images = Q(kind__in=[Artifact.Kind.IMAGE, Artifact.Kind.INDEX])
    if wanted == "IMAGE":
        return images
    known = Q(artifact_type__in=[kind for kind, named in _KNOWN.items() if named == wanted])
    if not _NAME.fullmatch(wanted):
        return Q(pk__in=())
    pattern = _NAMED.pattern.replace(r"\.(.*)\.", rf"\.{re.escape(wanted.lower())}\.")
    others = Q(artifact_type__iregex=f"^{pattern}$") & ~Q(artifact_type__in=list(_KNOWN))
    if wanted == UNKNOWN:
        others = ~Q(artifact_type__regex=f"^{_NAMED.pattern}$") & ~Q(artifact_type__in=list(_KNOWN))
    return ~images & (known | others)
