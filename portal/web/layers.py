"""The layer explorer: what each layer of an image did, and what became of its bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts import access
from portal.web.access import principal_of, public_page, visible_project
from portal.web.image_config import Step as Instruction
from portal.web.image_config import run_config, steps
from portal.web.layer_advice import Advice, advice_of
from portal.web.layer_lessons import lessons
from portal.web.repositories import repository_of
from portal.web.tag_rows import index_content
from registry_sync import layer_tree
from registry_sync.base_images import base_of
from registry_sync.layer_tree import CHANGES, FINAL, MODES, Step
from registry_sync.layers.entries import ancestors, join
from registry_sync.layers.merge import Merged
from registry_sync.layers.tree import Row
from registry_sync.models import Artifact, ArtifactReference, LayerIndex, Repository

# Of one directory; the rest is behind a link.
_MOST_ROWS = 500
# Per cent; below it the ring warns.
_GOOD = 90
_MARKS = {"added": "add", "modified": "mod", "removed": "del", "same": "same"}
_GLYPHS = {"added": "+", "modified": "~", "removed": "−", "same": "="}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the tree as the page shows it."""

    row: Row
    path: str
    level: int
    url: str
    is_open: bool = False
    is_selected: bool = False
    # Of a directory of the finished image: its live bytes.
    directory_bytes: int | None = None

    @property
    def mark(self) -> str:
        """The class of its change."""
        return "opq" if self.row.is_opaque else _MARKS[self.row.change]

    @property
    def glyph(self) -> str:
        """The sign of its change."""
        return "⊘" if self.row.is_opaque else _GLYPHS[self.row.change]

    @property
    def number(self) -> int:
        """The layer that supplied it, as people count."""
        return self.row.layer + 1

    @property
    def hue(self) -> int:
        """Which of eight colours the layer's number has."""
        return self.row.layer % 8 + 1

    @property
    def indent(self) -> int:
        """One of six depths."""
        return min(self.level, 6)

    @property
    def size(self) -> int | None:
        """Bytes; a directory's are known of one layer, and of the finished image."""
        return self.row.entry.size if self.directory_bytes is None else self.directory_bytes

    @property
    def mode(self) -> str:
        """Permissions as four octal digits."""
        return f"{self.row.entry.mode:04o}" if self.row.entry.mode else ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the address says: which layer, which view, which path, what is searched."""

    layer: int
    mode: str
    path: str
    file: str
    query: str
    base: str

    def url(self, **changes: object) -> str:
        """The page with something else chosen."""
        chosen: dict[str, object] = {
            "layer": self.layer + 1,
            "mode": self.mode,
            "path": self.path,
            "file": self.file,
            "q": self.query,
        } | changes
        return f"{self.base}?{urlencode({k: v for k, v in chosen.items() if v})}"


@dataclass(slots=True)
class Explorer:
    """All that the page shows of an analysed image."""

    choice: Choice
    result: dict[str, Any]
    lines: list[Line] = field(default_factory=list)
    hidden: int = 0
    trace: list[Step] = field(default_factory=list)
    found: list[tuple[layer_tree.Found, str]] = field(default_factory=list)

    @property
    def share(self) -> dict[str, Any]:
        """The chosen layer's part of the analysis."""
        shares: list[dict[str, Any]] = self.result["layers"]
        return shares[self.choice.layer]

    @property
    def number(self) -> int:
        """The chosen layer, as people count."""
        return self.choice.layer + 1


@require_safe
@public_page
def index(request: HttpRequest, project: str, path: str, digest: str) -> HttpResponse:
    """The layer explorer of an image; of an index, that of its first platform."""
    repository = repository_of(visible_project(request, project), path)
    artifact = _image(repository, digest)
    if artifact.kind == Artifact.Kind.INDEX:
        platforms = index_content(artifact.references.select_related("child")).platforms
        if not platforms:
            raise Http404
        return redirect("repositories:layers", project, path, platforms[0].digest)
    if artifact.kind != Artifact.Kind.IMAGE:
        raise Http404
    context = {
        "section": "projects",
        "project": repository.project,
        "repository": repository,
        "artifact": artifact,
        "tags": artifact.tags.all(),
        "platforms": _platforms(artifact),
        "run": run_config(artifact.config),
        "compare_url": _compare_url(repository, artifact),
        "base_image": base_of(artifact, principal_of(request)),
    }
    analysis = layer_tree.analysed(artifact)
    blobs = list(artifact.blobs.filter(position__gt=0))
    instructions = steps(artifact.config, blobs)
    context["steps"] = instructions[::-1]
    if analysis is None:
        return render(request, "layers/waiting.html", context)
    if not blobs or analysis.result.get("error"):
        return render(request, "layers/unreadable.html", context)
    explorer = _explorer(request, analysis.result, layer_tree.indexes_of(artifact))
    context |= _summary(analysis.result)
    context |= {
        "analysis": analysis,
        "explorer": explorer,
        "stack": list(_stack(explorer, instructions)),
        "instruction": _instruction(instructions, explorer.number),
        "advice": list(_advice(explorer)),
        "biggest": [
            {**each, "url": explorer.choice.url(file=each["path"], path="", mode=CHANGES)}
            for each in explorer.share["biggest"]
        ],
        "views": [(mode, explorer.choice.url(mode=mode)) for mode in MODES],
        "trend": layer_tree.trend(repository),
        "lessons": list(lessons(analysis.result, instructions)),
    }
    return render(request, "layers/index.html", context)


@require_safe
@public_page
def preview(request: HttpRequest, project: str, path: str, digest: str) -> HttpResponse:
    """The beginning of a file in one layer, as text."""
    repository = repository_of(visible_project(request, project), path)
    # What is inside is what a pull gives.
    access.require(principal_of(request), "repository:pull", repository.project)
    artifact = _image(repository, digest)
    if artifact.kind != Artifact.Kind.IMAGE or layer_tree.analysed(artifact) is None:
        return redirect("repositories:layers", project, path, digest)
    layers = layer_tree.indexes_of(artifact)
    number = _number(request.GET.get("layer", ""), len(layers))
    file = request.GET.get("file", "")
    content = layer_tree.preview(artifact, layers[number], file)
    is_text = b"\0" not in content
    context = {
        "section": "projects",
        "project": repository.project,
        "repository": repository,
        "artifact": artifact,
        "file": file,
        "number": number + 1,
        "is_text": is_text,
        "is_cut": len(content) >= layer_tree.PREVIEW_BYTES,
        "content": content.decode(errors="replace") if is_text else "",
    }
    return render(request, "layers/preview.html", context)


def _image(repository: Repository, digest: str) -> Artifact:
    found = Artifact.objects.live().filter(repository=repository, body_id=digest).first()
    if found is None:
        raise Http404
    found.repository = repository
    return found


def _compare_url(repository: Repository, artifact: Artifact) -> str:
    here = f"{repository.name}@{artifact.digest}"
    return f"{reverse('compare')}?{urlencode({'base': here, 'head': here})}"


def _number(text: str, count: int) -> int:
    """Return the layer that the address names, counted from 0; the top one where none is."""
    if not text:
        return count - 1
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= count):
        raise Http404
    return int(text) - 1


def _explorer(
    request: HttpRequest, result: dict[str, Any], layers: Sequence[LayerIndex]
) -> Explorer:
    get = request.GET.get
    mode = get("mode", CHANGES)
    if mode not in MODES:
        raise Http404
    number = len(layers) - 1 if mode == FINAL else _number(get("layer", ""), len(layers))
    choice = Choice(
        layer=number,
        mode=mode,
        path=get("path", "").strip("/"),
        file=get("file", "").strip("/"),
        query=get("q", "").strip()[:256],
        base=request.path,
    )
    explorer = Explorer(choice, result)
    if choice.query:
        explorer.found = [
            (found, choice.url(layer=found.step.layer + 1, file=found.path, q="", mode=CHANGES))
            for found in layer_tree.search(layers, choice.query)
        ]
    else:
        opened = choice.path or choice.file.rpartition("/")[0]
        merged = layer_tree.directories(layers, opened)
        explorer.lines = list(_lines(explorer, merged, opened, len(layers)))
    if choice.file:
        explorer.trace = layer_tree.trace(layers, choice.file)
    return explorer


def _lines(
    explorer: Explorer, merged: dict[str, Merged], opened: str, count: int
) -> Iterator[Line]:
    """Yield the tree with the way to the open directory unfolded."""
    chain = ancestors(opened)
    sizes: dict[str, int] = explorer.result.get("sizes", {})

    def below(directory: str, level: int) -> Iterator[Line]:
        if directory not in merged:
            return
        choice = explorer.choice
        rows = layer_tree.rows(merged[directory], layer=choice.layer, mode=choice.mode, count=count)
        explorer.hidden += max(0, len(rows) - _MOST_ROWS)
        for row in rows[:_MOST_ROWS]:
            path = join(directory, row.name)
            is_open = row.is_directory and path in chain
            closed = directory if is_open else path
            url = (
                choice.url(path=closed, file="")
                if row.is_directory
                else choice.url(path=directory, file=path)
            )
            live = sizes.get(path, 0) if row.is_directory and choice.mode == FINAL else None
            yield Line(row, path, level, url, is_open, path == choice.file, live)
            if is_open:
                yield from below(path, level + 1)

    yield from below("", 1)


def _summary(result: dict[str, Any]) -> dict[str, object]:
    """What the head of the page says in one ring and one bar."""
    total = result["total"] or 1
    labels = (
        ("live", "accent", _("live")),
        ("deleted", "danger", _("deleted later")),
        ("overwritten", "warn", _("overwritten")),
        ("rewritten", "info", _("rewritten, same content")),
    )
    parts, start = [], 0.0
    for key, tone, label in labels:
        width = round(100 * result[key] / total, 1)
        if result[key]:
            parts.append(
                {
                    "tone": tone,
                    "label": label,
                    "bytes": result[key],
                    "start": start,
                    "width": width,
                }
            )
            start = round(start + width, 1)
    # Rounded down: nearly everything is not everything.
    percent = int(100 * result["efficiency"])
    return {"percent": percent, "tone": "warn" if percent < _GOOD else "", "parts": parts}


def _stack(explorer: Explorer, instructions: Sequence[Instruction]) -> Iterator[dict[str, Any]]:
    """Yield the instructions from the top, each with what its layer amounts to."""
    shares = explorer.result["layers"]
    largest = max((share.get("bytes", 0) for share in shares), default=0) or 1
    secret_layers = {secret["layer"] for secret in explorer.result["secrets"]}
    for step in reversed(instructions):
        if step.number is None or step.number > len(shares):
            yield {"step": step, "url": ""}
            continue
        share = shares[step.number - 1]
        yield {
            "step": step,
            "share": share,
            "live": round(100 * share["live"] / largest, 1),
            "wasted": round(100 * share["wasted"] / largest, 1),
            "has_secret": step.number - 1 in secret_layers,
            "url": explorer.choice.url(layer=step.number, mode=CHANGES, path="", file="", q=""),
        }


def _instruction(instructions: Sequence[Instruction], number: int) -> Instruction | None:
    return next((each for each in instructions if each.number == number), None)


def _advice(explorer: Explorer) -> Iterator[Advice]:
    """What to change because of the chosen layer."""
    layer = explorer.choice.layer
    for each in advice_of(explorer.result):
        if layer in (each.layer, each.by):
            yield each


def _platforms(artifact: Artifact) -> list[tuple[str, str]]:
    """Return the platforms of the index that holds the image: name and digest."""
    parent = (
        ArtifactReference.objects.filter(child=artifact, parent__trash_entry=None)
        .order_by("-parent_id")
        .values_list("parent_id", flat=True)
        .first()
    )
    if parent is None:
        return []
    references = ArtifactReference.objects.filter(parent_id=parent).select_related("child")
    return [(each.architecture, each.digest) for each in index_content(references).platforms]
