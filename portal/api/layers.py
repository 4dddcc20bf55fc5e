"""An image's layers: what became of their bytes, every file, and how two images differ."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, Conflict, NotFound
from portal.api import artifacts, projects, query, repositories
from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from registry_sync import layer_tree, references
from registry_sync.image_comparison import compare_images
from registry_sync.layer_tree import Step
from registry_sync.layers.tree import Row
from registry_sync.models import Artifact, ImageAnalysis


class AnalysisOutput(serializers.Serializer[Any]):
    """What an image's layers amount to; bytes are unpacked ones."""

    digest = serializers.CharField()
    efficiency = serializers.FloatField(help_text="Live bytes of all bytes, 0 to 1.")
    total = serializers.IntegerField()
    live = serializers.IntegerField()
    wasted = serializers.IntegerField()
    overwritten = serializers.IntegerField()
    rewritten = serializers.IntegerField(help_text="The same content again, for owner or mode.")
    deleted = serializers.IntegerField()
    files = serializers.IntegerField()
    layers = serializers.ListField(child=serializers.DictField())
    secrets = serializers.ListField(child=serializers.DictField())
    advice = serializers.ListField(child=serializers.DictField())
    biggest = serializers.ListField(child=serializers.DictField())
    most_wasted = serializers.ListField(child=serializers.DictField())
    packages = serializers.ListField(child=serializers.ListField())


class EntryOutput(serializers.Serializer[Any]):
    """One line of a directory."""

    name = serializers.CharField()
    type = serializers.CharField()
    change = serializers.ChoiceField(["added", "modified", "removed", "same"])
    size = serializers.IntegerField()
    mode = serializers.CharField()
    uid = serializers.IntegerField()
    gid = serializers.IntegerField()
    mtime = serializers.IntegerField()
    link = serializers.CharField()
    layer = serializers.IntegerField(help_text="The layer that supplied it, from 1.")
    is_opaque = serializers.BooleanField()


class CopyOutput(serializers.Serializer[Any]):
    """A layer's copy of a path."""

    path = serializers.CharField()
    type = serializers.CharField()
    layer = serializers.IntegerField()
    size = serializers.IntegerField()
    fate = serializers.ChoiceField(["live", "overwritten", "rewritten", "deleted"])
    by = serializers.IntegerField(help_text="The layer that took it away.")


class ComparisonOutput(serializers.Serializer[Any]):
    """How the second image differs from the first."""

    base = serializers.CharField()
    head = serializers.CharField()
    shared_layers = serializers.IntegerField(help_text="In common from the bottom.")
    download_bytes = serializers.IntegerField(help_text="For a node that has the first.")
    size_difference = serializers.IntegerField()
    configuration = serializers.ListField(child=serializers.DictField())
    packages = serializers.ListField(child=serializers.DictField())
    files = serializers.DictField(allow_null=True, help_text="null until both were read.")


class Analysis(Endpoint):
    """``…/artifacts/{reference}/layers``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=AnalysisOutput)}

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Show what the layers amount to; 409 until they were read, which is asked for here."""
        artifact = _image(self, request, name_or_id, path, reference)
        result = dict(_analysed(artifact).result)
        result.pop("sizes", None)
        layers = [{**share, "number": n} for n, share in enumerate(result["layers"], start=1)]
        return Response({"digest": artifact.digest, **result, "layers": layers})


class LayerFiles(Endpoint):
    """``…/artifacts/{reference}/layers/{number}/files``."""

    permissions = {"GET": Anyone}
    operations = {
        "GET": Operation(gives=EntryOutput, is_list=True, is_whole=True, query=("path", "mode"))
    }

    def get(
        self, request: Request, name_or_id: str, path: str, reference: str, number: int
    ) -> Response:
        """List a directory: a layer's changes, what is seen up to it, or at the end."""
        artifact = _image(self, request, name_or_id, path, reference)
        layers = layer_tree.indexes_of(artifact)
        if not 1 <= number <= len(layers):
            raise NotFound("the image has no such layer")
        directory = query.text(request, "path").strip("/")
        merged = layer_tree.directories(layers, directory).get(directory)
        if merged is None:
            raise NotFound("no layer has such a directory")
        mode = query.text(request, "mode") or layer_tree.CHANGES
        rows = layer_tree.rows(merged, layer=number - 1, mode=mode, count=len(layers))
        return Response([_entry(row) for row in rows])


class LayerPaths(Endpoint):
    """``…/artifacts/{reference}/layers/paths``."""

    permissions = {"GET": Anyone}
    operations = {
        "GET": Operation(gives=CopyOutput, is_list=True, is_whole=True, query=("path", "match"))
    }

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """Find a path, or those that match, in all layers: where they come from and end."""
        artifact = _image(self, request, name_or_id, path, reference)
        layers = layer_tree.indexes_of(artifact)
        wanted, pattern = query.text(request, "path").strip("/"), query.text(request, "match")
        if bool(wanted) == bool(pattern):
            raise BadRequest("Give either path or match.", field="path")
        if wanted:
            return Response([_copy(wanted, step) for step in layer_tree.trace(layers, wanted)])
        found = layer_tree.search(layers, pattern[:256])
        return Response([_copy(each.path, each.step) for each in found])


class Compare(Endpoint):
    """``/compare``."""

    permissions = {"GET": Anyone}
    operations = {"GET": Operation(gives=ComparisonOutput, query=("base", "head"))}

    def get(self, request: Request) -> Response:
        """Compare two images, named as project/repository:tag or …@digest."""
        base, head = self._named(request, "base"), self._named(request, "head")
        found = compare_images(base, head)
        files = None
        if found.files is not None:
            files = {
                "added": found.files.added,
                "modified": found.files.modified,
                "removed": found.files.removed,
                "same": found.files.same,
                "added_bytes": found.files.added_bytes,
                "removed_bytes": found.files.removed_bytes,
                "largest": [
                    {"path": path, "change": kind, "before": old, "after": new}
                    for _size, path, kind, old, new in found.files.rows
                ],
            }
        return Response(
            {
                "base": base.digest,
                "head": head.digest,
                "shared_layers": found.shared,
                "download_bytes": found.download,
                "size_difference": head.size - base.size,
                "configuration": [
                    {"name": each.name, "before": each.before, "after": each.after}
                    for each in found.configuration
                ],
                "packages": [
                    {"ecosystem": ecosystem, "name": name, "before": before, "after": after}
                    for ecosystem, name, before, after in found.packages
                ],
                "files": files,
            }
        )

    def _named(self, request: Request, field: str) -> Artifact:
        parsed = references.parse(query.text(request, field))
        if parsed is None:
            raise BadRequest(f"{field} is no image's name.", field=field)
        project = projects.find(request, parsed.project, principal=self.principal)
        access.require(self.principal, "artifact:read", project)
        repository = repositories.within(project, parsed.path)
        artifact = artifacts.find(repository, parsed.digest or parsed.tag)
        if artifact.kind != Artifact.Kind.IMAGE:
            raise BadRequest("Only images can be compared; of an index name one.", field=field)
        return artifact


def _image(
    endpoint: Endpoint, request: Request, name_or_id: str, path: str, reference: str
) -> Artifact:
    repository = repositories.find(endpoint, request, name_or_id, path, action="artifact:read")
    artifact = artifacts.find(repository, reference)
    if artifact.kind != Artifact.Kind.IMAGE:
        raise NotFound("only images have layers that can be read; of an index name one image")
    return artifact


def _analysed(artifact: Artifact) -> ImageAnalysis:
    found = layer_tree.analysed(artifact)
    if found is None:
        raise Conflict("the image's layers have not been read yet; ask again in a moment")
    if found.result.get("error"):
        raise NotFound("the image could not be analysed; the worker's log tells why")
    return found


def _entry(row: Row) -> dict[str, Any]:
    entry = row.entry
    return {
        "name": row.name,
        "type": entry.type,
        "change": row.change,
        "size": entry.size,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": entry.mtime,
        "link": entry.link,
        "layer": row.layer + 1,
        "is_opaque": row.is_opaque,
    }


def _copy(path: str, step: Step) -> dict[str, Any]:
    return {
        "path": path,
        "type": step.entry.type,
        "layer": step.layer + 1,
        "size": step.entry.size,
        "fate": step.fate.value,
        "by": step.by + 1,
    }
