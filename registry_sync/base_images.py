"""Finds the image that another one was built on: the one with the most layers in common."""

from django.db.models import Exists, F, OuterRef, Q

from accounts.principals import Principal
from registry_sync.image_analysis import layers_of
from registry_sync.models import Artifact, ArtifactBlob

# So many images are looked at: a layer may be the last one of any number.
_MOST = 50


def base_of(artifact: Artifact, principal: Principal) -> tuple[Artifact, int] | None:
    """Return the base image that this caller may know of, and how many layers it is.

    An image whose layers are all, in order, the lowest of this one's, and fewer.
    """
    layers = layers_of(artifact)
    ends = Q()
    for position in range(1, len(layers)):
        ends |= Q(position=position, blob_id=layers[position - 1])
    if not ends:
        return None
    further = ArtifactBlob.objects.filter(
        artifact=OuterRef("artifact"), position=OuterRef("position") + 1
    )
    visible = Artifact.objects.visible_to(principal).filter(
        kind=Artifact.Kind.IMAGE, tags__isnull=False
    )
    tops = (
        ArtifactBlob.objects.filter(ends, ~Exists(further), artifact__in=visible)
        .exclude(artifact=artifact)
        .order_by(F("position").desc(), "artifact_id")
        .values_list("artifact_id", "position")
    )
    for artifact_id, position in tops[:_MOST]:
        rows = ArtifactBlob.objects.filter(artifact=artifact_id, position__gt=0)
        chain = list(rows.order_by("position").values_list("blob_id", flat=True))
        if chain == layers[:position]:
            return Artifact.objects.select_related("repository__project").get(
                pk=artifact_id
            ), position
    return None
