"""Artifacts as the contract shows them, with as much about them as the caller asked for."""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from portal.api import query
from portal.api.endpoint import API_ROOT
from portal.api.labels import LabelOutput
from portal.api.paging import listed
from registry_sync import accessories, additions, immutability, statistics
from registry_sync.accessories import Accessory, Place
from registry_sync.artifact_types import type_of
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactLabel,
    ArtifactReference,
    Repository,
    Tag,
)

# The contract's parameters; the last three ask for what only a scanner or Notary v1 would know.
OPTIONS = (
    "with_tag",
    "with_label",
    "with_accessory",
    "with_inherited_accessory",
    "with_immutable_status",
    "with_scan_overview",
    "with_sbom_overview",
    "with_signature",
)
# The contract has a time where there is none; this one is Go's for never.
NEVER = "0001-01-01T00:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Options:
    """How much of an artifact a caller wants to see."""

    tags: bool = True
    labels: bool = False
    accessories: bool = False
    inherited: bool = False
    immutability: bool = False

    @classmethod
    def of(cls, request: Request) -> "Options":
        """Read the query string strictly."""
        wanted = {name: query.boolean(request.query_params.get(name), name) for name in OPTIONS}
        return cls(
            tags=wanted["with_tag"] is not False,
            labels=bool(wanted["with_label"]),
            accessories=bool(wanted["with_accessory"]),
            inherited=bool(wanted["with_inherited_accessory"]),
            immutability=bool(wanted["with_immutable_status"]),
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was looked up for a whole page of artifacts at once."""

    options: Options = field(default_factory=Options)
    accessories: Mapping[Place, Sequence[Accessory]] = field(default_factory=dict)
    # The digests of the indexes that hold an artifact, by the artifact's number.
    parents: Mapping[int, Sequence[Place]] = field(default_factory=dict)
    # Whether a rule holds a tag, by its repository's number and its name.
    is_immutable: Callable[[int, str], bool] = field(default=lambda _repository_id, _name: False)
    # By the artifact's number: its tags, an index's entries, its configuration's media type.
    tags: Mapping[int, Sequence[dict[str, Any]]] = field(default_factory=dict)
    references: Mapping[int, Sequence[dict[str, Any]]] = field(default_factory=dict)
    configurations: Mapping[int, str] = field(default_factory=dict)


class TagOutput(serializers.Serializer[Tag]):
    """The contract's ``Tag``."""

    id = serializers.IntegerField(source="pk")
    repository_id = serializers.IntegerField()
    artifact_id = serializers.IntegerField()
    name = serializers.CharField()
    push_time = serializers.DateTimeField(source="pushed_at", default_timezone=datetime.UTC)
    pull_time = serializers.SerializerMethodField()
    immutable = serializers.SerializerMethodField()

    def get_pull_time(self, tag: Tag) -> str:
        """Return when it was last pulled by name."""
        return _pulled_at(tag)

    def get_immutable(self, tag: Tag) -> bool:
        """Return whether a rule holds it, where that was asked for."""
        around: Surroundings = self.context.get("around", Surroundings())
        return around.is_immutable(tag.repository_id, tag.name)


class AccessoryOutput(serializers.Serializer[Accessory]):
    """The contract's ``Accessory``."""

    id = serializers.IntegerField(source="artifact.pk")
    artifact_id = serializers.IntegerField(source="artifact.pk")
    subject_artifact_digest = serializers.CharField(source="subject_digest")
    subject_artifact_repo = serializers.SerializerMethodField()
    size = serializers.IntegerField(source="artifact.size")
    digest = serializers.CharField(source="artifact.digest")
    type = serializers.CharField(source="kind.value")
    icon = serializers.SerializerMethodField()
    creation_time = serializers.DateTimeField(
        source="artifact.pushed_at", default_timezone=datetime.UTC
    )

    def get_subject_artifact_repo(self, accessory: Accessory) -> str:
        """Return the full name of the repository, which is its subject's too."""
        name: str = self.context.get("repository", "")
        return name

    def get_icon(self, accessory: Accessory) -> str:
        """Return what the contract asks for; there are no icons here."""
        return ""


class ArtifactOutput(serializers.Serializer[Artifact]):
    """The contract's ``Artifact``."""

    id = serializers.IntegerField(source="pk")
    type = serializers.SerializerMethodField()
    media_type = serializers.SerializerMethodField()
    manifest_media_type = serializers.CharField(source="media_type")
    artifact_type = serializers.CharField()
    project_id = serializers.IntegerField(source="repository.project_id")
    repository_id = serializers.IntegerField()
    repository_name = serializers.CharField(source="repository.name")
    digest = serializers.CharField()
    size = serializers.IntegerField()
    push_time = serializers.DateTimeField(source="pushed_at", default_timezone=datetime.UTC)
    pull_time = serializers.SerializerMethodField()
    extra_attrs = serializers.SerializerMethodField()
    annotations = serializers.DictField()
    references = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    labels = serializers.SerializerMethodField()
    accessories = serializers.SerializerMethodField()
    inherited_accessories = serializers.SerializerMethodField()
    addition_links = serializers.SerializerMethodField()

    @property
    def around(self) -> Surroundings:
        """What was looked up beforehand."""
        found: Surroundings = self.context["around"]
        return found

    def get_type(self, artifact: Artifact) -> str:
        """Return Harbor's word for the kind."""
        return type_of(artifact)

    def get_media_type(self, artifact: Artifact) -> str:
        """Return the configuration's media type; of an index its own."""
        if artifact.kind == Artifact.Kind.INDEX:
            return artifact.media_type
        return self.around.configurations.get(artifact.pk, artifact.media_type)

    def get_pull_time(self, artifact: Artifact) -> str:
        """Return when it was last pulled, under whatever name."""
        return _pulled_at(artifact)

    def get_extra_attrs(self, artifact: Artifact) -> dict[str, Any]:
        """Return what the configuration says: of an image some of it, of a chart all."""
        if artifact.kind == Artifact.Kind.OTHER:
            return dict(artifact.config)
        attributes = {
            "architecture": artifact.architecture,
            "os": artifact.os,
            "variant": artifact.variant,
            "author": artifact.author,
            "created": artifact.built_at.isoformat() if artifact.built_at else "",
        }
        found: dict[str, Any] = {name: value for name, value in attributes.items() if value}
        config = artifact.config.get("config")
        return found | ({"config": config} if config else {})

    def get_references(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return an index's manifests."""
        return list(self.around.references.get(artifact.pk, ()))

    def get_tags(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return the tags that point to it, as ``TagOutput`` shows them."""
        return list(self.around.tags.get(artifact.pk, ()))

    def get_labels(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return its labels, where they were asked for."""
        if not self.around.options.labels:
            return []
        return [dict(LabelOutput(entry.label).data) for entry in artifact.labelings.all()]

    def get_accessories(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return what is about it, where that was asked for."""
        if not self.around.options.accessories:
            return []
        place = artifact.repository_id, artifact.digest
        return self._accessories(artifact, self.around.accessories.get(place, ()))

    def get_inherited_accessories(self, artifact: Artifact) -> list[dict[str, Any]]:
        """Return the signatures of the indexes that hold it, where that was asked for."""
        found = []
        for place in self.around.parents.get(artifact.pk, ()):
            rows = [row for row in self.around.accessories.get(place, ()) if row.is_signature]
            found += self._accessories(artifact, rows)
        return found

    def get_addition_links(self, artifact: Artifact) -> dict[str, Any]:
        """Return where to read more of it."""
        project, _, path = artifact.repository.name.partition("/")
        base = f"{API_ROOT}/projects/{project}/repositories/{quote(quote(path, safe=''), safe='')}"
        return {
            name: {
                "href": f"{base}/artifacts/{artifact.digest}/additions/{name}",
                "absolute": False,
            }
            for name in additions.names_for(artifact)
        }

    def _accessories(self, artifact: Artifact, rows: Sequence[Accessory]) -> list[dict[str, Any]]:
        if not rows:
            return []
        context = {"repository": artifact.repository.name}
        return listed(AccessoryOutput, rows, context)


def _pulled_at(row: Artifact | Tag) -> str:
    """Return its annotated ``pulled_at`` in the contract's form."""
    return _moment(getattr(row, "pulled_at", None))


def _moment(at: datetime.datetime | None) -> str:
    return NEVER if at is None else at.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def detailed(found: QuerySet[Artifact], options: Options) -> QuerySet[Artifact]:
    """Fetch with them what the output shows of each row; what is around, ``output`` looks up."""
    found = found.annotate(pulled_at=statistics.pulled_at("body_id"))
    found = found.select_related("repository__project")
    if options.labels:
        labelings = ArtifactLabel.objects.select_related("label")
        found = found.prefetch_related(Prefetch("labelings", labelings))
    return found


def output(rows: Iterable[Artifact], options: Options) -> list[dict[str, Any]]:
    """Show artifacts that were fetched by ``detailed``."""
    artifacts = list(rows)
    context = {"around": _surroundings(artifacts, options)}
    return listed(ArtifactOutput, artifacts, context)


def _surroundings(artifacts: Sequence[Artifact], options: Options) -> Surroundings:
    parents = _parents(artifacts) if options.inherited else {}
    places = [place for held in parents.values() for place in held]
    if options.accessories:
        places += [(artifact.repository_id, artifact.digest) for artifact in artifacts]
    found: Mapping[Place, Sequence[Accessory]] = {}
    if places:
        found = accessories.accessories_among(
            {repository_id for repository_id, _digest in places},
            {digest for _repository_id, digest in places},
        )
    around = Surroundings(options, found, parents)
    if options.immutability:
        repositories = {artifact.repository_id: artifact.repository for artifact in artifacts}
        around = replace(around, is_immutable=immutability_of(repositories.values()))
    ids = [artifact.pk for artifact in artifacts]
    return replace(
        around,
        tags=_tags(ids, around.is_immutable) if options.tags else {},
        references=_references(ids),
        configurations=_configurations(ids),
    )


def immutability_of(repositories: Iterable[Repository]) -> Callable[[int, str], bool]:
    """Return what tells whether a rule holds a tag of these; one query for each project."""
    paths = {repository.pk: repository.path for repository in repositories}
    projects = {repository.pk: repository.project_id for repository in repositories}
    rules = {number: immutability.rules_of(number) for number in set(projects.values())}

    def is_immutable(repository_id: int, name: str) -> bool:
        held = rules[projects[repository_id]]
        return immutability.holding(held, paths[repository_id], name) is not None

    return is_immutable


def _parents(artifacts: Sequence[Artifact]) -> dict[int, list[Place]]:
    """Return the live indexes that hold each artifact."""
    found: dict[int, list[Place]] = {}
    edges = ArtifactReference.objects.filter(child__in=artifacts, parent__trash_entry=None)
    rows = edges.order_by("parent_id").values_list(
        "child_id", "parent__repository_id", "parent__body_id"
    )
    for child_id, repository_id, digest in rows.distinct():
        found.setdefault(child_id, []).append((repository_id, digest))
    return found


def _tags(
    artifact_ids: Sequence[int], is_immutable: Callable[[int, str], bool]
) -> dict[int, list[dict[str, Any]]]:
    """Return each artifact's tags, without a form for each: an artifact may have hundreds."""
    found: dict[int, list[dict[str, Any]]] = {}
    tags = Tag.objects.filter(artifact__in=artifact_ids)
    rows = tags.annotate(pulled_at=statistics.pulled_at("name")).values_list(
        "pk", "repository_id", "artifact_id", "name", "pushed_at", "pulled_at"
    )
    for pk, repository_id, artifact_id, name, pushed_at, pulled_at in rows:
        shown = {
            "id": pk,
            "repository_id": repository_id,
            "artifact_id": artifact_id,
            "name": name,
            "push_time": _moment(pushed_at),
            "pull_time": _moment(pulled_at),
            "immutable": is_immutable(repository_id, name),
        }
        found.setdefault(artifact_id, []).append(shown)
    return found


def _references(artifact_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the entries of those that are indexes."""
    found: dict[int, list[dict[str, Any]]] = {}
    rows = ArtifactReference.objects.filter(parent__in=artifact_ids).values_list(
        "parent_id", "child_id", "child__body_id", "architecture", "os", "variant", "annotations"
    )
    for parent_id, child_id, digest, architecture, os, variant, annotations in rows:
        shown = {
            "parent_id": parent_id,
            "child_id": child_id,
            "child_digest": digest,
            "platform": {"architecture": architecture, "os": os, "variant": variant},
            "annotations": annotations,
            "urls": [],
        }
        found.setdefault(parent_id, []).append(shown)
    return found


def _configurations(artifact_ids: Sequence[int]) -> dict[int, str]:
    """Return the media types of their configurations, of those that have one."""
    blobs = ArtifactBlob.objects.filter(artifact__in=artifact_ids, position=0)
    return dict(blobs.values_list("artifact_id", "media_type"))
