"""What a project asks of its images' layers: said on pages, or held at the push.

A push that is held waits until its layers were read, once for each new layer; what cannot be read
cannot be known to be good, and is refused too.
"""

import threading
import time
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit, outbox, statements
from accounts.errors import BadRequest, Denied, Unavailable
from accounts.models import Project
from accounts.principals import Actor
from accounts.statements import Statement
from registry_sync import image_analysis, layer_indexes
from registry_sync.manifests import Manifest
from registry_sync.models import ImageAnalysis, LayerPolicy

# nginx and clients wait a minute for a manifest's answer.
_SECONDS = 25
# Asked at every push, so as cheaply as can be.
_ENFORCED = "SELECT 1 FROM registry_sync_layerpolicy WHERE project_id = %s AND is_enforced"
# Reading costs a core: no more pushes than this wait for it in one process.
_places = threading.BoundedSemaphore(2)


def of(project: Project) -> LayerPolicy:
    """Return a project's policy; one that asks nothing where there is none."""
    return LayerPolicy.objects.filter(project=project).first() or LayerPolicy(project=project)


@transaction.atomic
def put(
    project: Project,
    *,
    least_efficiency: int,
    most_wasted_bytes: int,
    forbids_secrets: bool,
    is_enforced: bool,
    actor: Actor,
) -> LayerPolicy:
    """Set what a project asks. Raises ``BadRequest`` (with ``field``) for numbers out of range."""
    if not 0 <= least_efficiency <= 100:
        raise BadRequest(_("Per cent are 0 to 100."), field="least_efficiency")
    if not 0 <= most_wasted_bytes < 1 << 60:
        raise BadRequest(_("Bytes are 0 or more."), field="most_wasted_bytes")
    facts = {
        "least_efficiency": least_efficiency,
        "most_wasted_bytes": most_wasted_bytes,
        "forbids_secrets": forbids_secrets,
        "is_enforced": is_enforced,
    }
    policy, _is_new = LayerPolicy.objects.update_or_create(project=project, defaults=facts)
    audit.record(actor, "update_layer_policy", project.name, project=project, detail=facts)
    outbox.emit("layer_policy.changed", f"project:{project.pk}", project=project.name, **facts)
    return policy


def reasons(policy: LayerPolicy, result: dict[str, Any]) -> list[str]:
    """Return what a policy has against an image, in words."""
    found = []
    percent = 100 * result["efficiency"]
    if percent < policy.least_efficiency:
        found.append(
            _("its efficiency is %(is)s %%, the project asks for %(wanted)s %%")
            % {"is": int(percent), "wanted": policy.least_efficiency}
        )
    if 0 < policy.most_wasted_bytes < result["wasted"]:
        found.append(
            _("it wastes %(is)s bytes, the project allows %(wanted)s")
            % {"is": result["wasted"], "wanted": policy.most_wasted_bytes}
        )
    if policy.forbids_secrets and result["secrets"]:
        secret = result["secrets"][0]
        found.append(
            _("layer %(layer)s holds what looks like a secret: %(path)s")
            % {"layer": secret["layer"] + 1, "path": secret["path"]}
        )
    return found


def broken(project: Project, digests: Collection[str]) -> dict[str, list[str]]:
    """Return, of these images, those that break the project's policy, with the reasons."""
    policy = LayerPolicy.objects.filter(project=project).first()
    if policy is None or not digests:
        return {}
    rows = ImageAnalysis.objects.filter(digest__in=digests, version=image_analysis.VERSION)
    rows = rows.exclude(efficiency=None)
    found = {row.digest: reasons(policy, row.result) for row in rows}
    return {digest: words for digest, words in found.items() if words}


def require_pushable(project_id: int, registry_name: str, manifest: Manifest) -> None:
    """Raise ``Denied`` where an enforced policy is broken, ``Unavailable`` where it is unknown yet.

    Outside any transaction: layers that nobody read before are read here.
    """
    if not manifest.is_image or not statements.run(Statement(_ENFORCED, [project_id])):
        return
    policy = LayerPolicy.objects.get(project_id=project_id)
    result = _result(registry_name, [layer.digest for layer in manifest.layers])
    unread = [share for share in result["layers"] if share["error"]]
    if unread:
        raise Denied(
            _("the project reads every layer, and one cannot be read: %(why)s")
            % {"why": unread[0]["error"]}
        )
    if found := reasons(policy, result):
        raise Denied("; ".join(found))


def _result(registry_name: str, digests: list[str]) -> dict[str, Any]:
    end = time.monotonic() + _SECONDS
    if not _places.acquire(timeout=_SECONDS / 5):
        raise Unavailable(_("other images are being read; push again in a moment"))

    def check() -> None:
        if time.monotonic() > end:
            raise Unavailable(_("the layers are still being read; push again in a moment"))

    try:
        indexes = [layer_indexes.ensure(registry_name, each, check=check) for each in digests]
        return image_analysis.result_of(indexes)
    finally:
        _places.release()
