"""What retention would do, and what keeps a tag from it: previews, reasons, pins, what runs."""

from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from portal.api import projects, query, repositories, retentions
from portal.api.base import SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from portal.api.retention_output import RetentionInput
from registry_sync import in_use, pins, retention_preview
from registry_sync.in_use import Receipt, Used
from registry_sync.models import DigestInUse, RetentionPolicy, TagPin
from registry_sync.retention_export import csv_lines, json_lines
from registry_sync.retention_policies import reading_of
from registry_sync.retention_preview import Filter, Preview, Row
from registry_sync.retention_rules import Reading


class RetentionVerdictOutput(serializers.Serializer[Row]):
    """One tag's verdict."""

    repository = serializers.CharField()
    tag = serializers.CharField()
    digest = serializers.CharField()
    verdict = serializers.SerializerMethodField()
    rule = serializers.IntegerField()
    reason = serializers.CharField()
    why = serializers.CharField()
    pushed_at = serializers.DateTimeField(default_timezone=UTC)
    pulled_at = serializers.DateTimeField(default_timezone=UTC, allow_null=True)
    frees = serializers.IntegerField(allow_null=True)

    def get_verdict(self, row: Row) -> str:
        """Return ``keep`` or ``remove``."""
        return "keep" if row.is_kept else "remove"


class RetentionPreviewOutput(serializers.Serializer[Preview]):
    """What a policy would do now."""

    kept = serializers.IntegerField(source="totals.kept")
    removed = serializers.IntegerField(source="totals.removed")
    images = serializers.IntegerField(source="totals.images")
    removed_images = serializers.IntegerField(source="totals.removed_images")
    percent = serializers.IntegerField(source="totals.percent")
    emptied = serializers.ListField(source="totals.emptied", child=serializers.CharField())
    by_rule = serializers.SerializerMethodField()
    freed_bytes = serializers.IntegerField(allow_null=True)
    brake = serializers.SerializerMethodField()
    rows = RetentionVerdictOutput(many=True)

    def get_by_rule(self, preview: Preview) -> dict[str, int]:
        """Return how many images each rule keeps, by its number."""
        return {str(number): count for number, count in sorted(preview.totals.by_rule.items())}

    def get_brake(self, preview: Preview) -> str:
        """Return why a run would stop before it removed anything, unconfirmed; else nothing."""
        return preview.totals.brake()


class RetentionConfirmationInput(serializers.Serializer[dict[str, Any]]):
    """Which version of the policy was looked at."""

    version = serializers.IntegerField(min_value=1)


class InUseImageInput(serializers.Serializer[dict[str, Any]]):
    """An image that runs."""

    image = serializers.CharField(max_length=1024)
    workload = serializers.CharField(max_length=512, required=False, allow_blank=True, default="")


class InUseInput(serializers.Serializer[dict[str, Any]]):
    """What a cluster runs."""

    cluster = serializers.CharField(max_length=254)
    hours = serializers.IntegerField(default=24)
    images = InUseImageInput(many=True)


class ReceiptOutput(serializers.Serializer[Receipt]):
    """How many images the report protects, and how many are not of this registry."""

    kept = serializers.IntegerField()
    ignored = serializers.IntegerField()


class InUseOutput(serializers.Serializer[DigestInUse]):
    """A digest that runs somewhere."""

    digest = serializers.CharField()
    cluster = serializers.CharField(source="place")
    workload = serializers.CharField()
    reported_by = serializers.CharField()
    reported_at = serializers.DateTimeField(default_timezone=UTC)
    expires_at = serializers.DateTimeField(default_timezone=UTC)


class PinInput(serializers.Serializer[dict[str, Any]]):
    """Which tag is pinned."""

    repository = serializers.CharField(max_length=255)
    tag = serializers.CharField(max_length=128)


class PinOutput(serializers.Serializer[TagPin]):
    """A tag that somebody wants kept."""

    id = serializers.IntegerField(source="pk")
    repository = serializers.CharField(source="repository.path")
    tag = serializers.CharField(source="name")
    pinned_by = serializers.CharField()
    pinned_at = serializers.DateTimeField(default_timezone=UTC)


class RetentionPreview(Endpoint):
    """``/projects/{project_name_or_id}/retention/preview``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(
            gives=RetentionPreviewOutput,
            query=("verdict", "tag", "repository", "page", "page_size"),
        ),
        "POST": Operation(
            takes=RetentionInput,
            gives=RetentionPreviewOutput,
            query=("verdict", "tag", "repository", "page", "page_size"),
        ),
    }

    def get(self, request: Request, name_or_id: str) -> Response:
        """Tell what the project's policy would do now."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag-retention:read", project)
        return self._answer(request, project, reading_of(_policy(project)))

    def post(self, request: Request, name_or_id: str) -> Response:
        """Tell what a policy would do that is not saved."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag-retention:read", project)
        serializer = RetentionInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        reading = reading_of(retentions.terms_of(serializer.validated_data))
        return self._answer(request, project, reading)

    def _answer(self, request: Request, project: Project, reading: Reading) -> Response:
        verdict = query.text(request, "verdict")
        if verdict not in {"", "keep", "remove"}:
            raise BadRequest("verdict must be keep or remove.", field="verdict")
        page = Page.of(request)
        wanted = Filter(
            query.text(request, "tag"),
            verdict,
            query.text(request, "repository"),
            (page.number - 1) * page.size,
            page.size,
        )
        found = retention_preview.preview(project, reading, wanted)
        headers = page.headers(request, found.matching)
        return Response(RetentionPreviewOutput(found).data, headers=headers)


class RetentionVerdicts(Endpoint):
    """``/projects/{project_name_or_id}/retention/verdicts``."""

    permissions = {"GET": SignedIn}
    operations = {
        "GET": Operation(media_type="application/x-ndjson", query=("repository", "format"))
    }

    def get(self, request: Request, name_or_id: str) -> StreamingHttpResponse:
        """Stream every verdict with its reason: a JSON object a line, or ``format=csv``."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag-retention:read", project)
        form = query.text(request, "format") or "jsonl"
        if form not in {"csv", "jsonl"}:
            raise BadRequest("format must be csv or jsonl.", field="format")
        reading = reading_of(_policy(project))
        found = retention_preview.rows(
            project, reading, repository=query.text(request, "repository")
        )
        if form == "csv":
            answer = StreamingHttpResponse(csv_lines(found), content_type="text/csv; charset=utf-8")
            name = f'attachment; filename="{project.name}-retention.csv"'
            answer.headers["Content-Disposition"] = name
            return answer
        return StreamingHttpResponse(json_lines(found), content_type="application/x-ndjson")


class RetentionConfirmation(Endpoint):
    """``/projects/{project_name_or_id}/retention/confirmation``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=RetentionConfirmationInput)}
    noun = "retention"

    def post(self, request: Request, name_or_id: str) -> Response:
        """Confirm the preview of a version: runs may remove as much as it does now, no more."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag-retention:operate", project)
        serializer = RetentionConfirmationInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        version = serializer.validated_data["version"]
        retention_preview.confirm(_policy(project), version=version, actor=self.actor)
        return Response()


class InUse(Endpoint):
    """``/in-use``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=InUseInput, gives=ReceiptOutput)}
    noun = "in_use"

    def post(self, request: Request) -> Response:
        """Report what a cluster runs; it replaces what the caller said of that cluster before.

        Whoever may pull from a project may report for it. Images are named as runtimes name them:
        ``registry/project/repository@sha256:…``.
        """
        serializer = InUseInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        images = [Used(entry["image"], entry["workload"]) for entry in said["images"]]
        receipt = in_use.report(
            images, place=said["cluster"], hours=said["hours"], actor=self.actor
        )
        return Response(ReceiptOutput(receipt).data)


class ProjectInUse(Endpoint):
    """``/projects/{project_name_or_id}/in-use``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=InUseOutput, is_list=True)}

    def get(self, request: Request, name_or_id: str) -> Response:
        """List what of a project runs somewhere, as reported and not expired."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "artifact:list", project)
        found: QuerySet[DigestInUse] = DigestInUse.objects.current(timezone.now())
        found = query.matching(
            found.filter(project=project), request, {"digest": "digest", "cluster": "place"}
        )
        sorts = {"cluster": "place", "expires_at": "expires_at"}
        found = query.ordered(found.order_by("place", "workload", "pk"), request, sorts)
        page = Page.of(request)
        shown = [InUseOutput(row).data for row in page.rows(found)]
        return Response(shown, headers=page.headers(request, found.count()))


class Pins(Endpoint):
    """``/projects/{project_name_or_id}/pins``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(gives=PinOutput, is_list=True),
        "POST": Operation(takes=PinInput, gives=PinOutput),
    }
    noun = "tag"

    def get(self, request: Request, name_or_id: str) -> Response:
        """List the pinned tags of a project."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag:list", project)
        found = TagPin.objects.filter(repository__project=project).select_related("repository")
        fields = {"repository": "repository__path", "tag": "name"}
        found = query.matching(found, request, fields)
        found = query.ordered(found.order_by("repository__path", "name"), request, fields)
        page = Page.of(request)
        shown = [PinOutput(pin).data for pin in page.rows(found)]
        return Response(shown, headers=page.headers(request, found.count()))

    def post(self, request: Request, name_or_id: str) -> Response:
        """Pin a tag: no retention policy removes it. Twice is as good as once."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag:create", project)
        serializer = PinInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        repository = repositories.within(project, serializer.validated_data["repository"])
        pin = pins.pin(repository, serializer.validated_data["tag"], actor=self.actor)
        return Response(PinOutput(pin).data)


class OnePin(Endpoint):
    """``/projects/{project_name_or_id}/pins/{pin_id}``."""

    permissions = {"DELETE": SignedIn}
    operations = {"DELETE": Operation()}
    noun = "tag"

    def delete(self, request: Request, name_or_id: str, pin_id: int) -> Response:
        """Let retention decide on a tag again."""
        project = projects.find(request, name_or_id, principal=self.principal)
        access.require(self.principal, "tag:create", project)
        found = TagPin.objects.filter(repository__project=project, pk=query.row_id(pin_id))
        pin = found.select_related("repository__project").first()
        if pin is None:
            raise NotFound("there is no such pin")
        pins.unpin(pin.repository, pin.name, actor=self.actor)
        return Response()


def _policy(project: Project) -> RetentionPolicy:
    policy = RetentionPolicy.objects.filter(project=project).select_related("project").first()
    if policy is None:
        raise NotFound("the project has no retention policy")
    return policy
