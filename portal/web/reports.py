"""What a run found and did, line by line."""

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_safe

from portal.web import jobs
from portal.web.access import page
from portal.web.paging import page_of
from registry_sync import reports
from registry_sync.models import Execution, ReportLine

KIND_WORDS = {
    "repository": gettext_lazy("Repository"),
    "image": gettext_lazy("Image"),
    "tag": gettext_lazy("Tag"),
    "quota": gettext_lazy("Quota"),
    "content": gettext_lazy("Damaged bytes"),
    "unknown-bytes": gettext_lazy("Unknown bytes"),
    "missing-bytes": gettext_lazy("Missing bytes"),
    "wrong-size": gettext_lazy("Wrong size"),
    "unknown-manifest": gettext_lazy("Unknown manifest"),
    "unknown-link": gettext_lazy("Unknown link"),
    "dangling-link": gettext_lazy("Dangling link"),
    "missing-link": gettext_lazy("Missing link"),
}
_VIEW_WORDS = {
    "": pgettext_lazy("report", "All"),
    "done": pgettext_lazy("report", "Done"),
    "left": pgettext_lazy("report", "Left out"),
    "found": pgettext_lazy("report", "Found"),
    "repaired": pgettext_lazy("report", "Repaired"),
}


@dataclass(frozen=True, slots=True)
class View:
    """A part of the lines: its name, its words, how many are in it."""

    name: str
    words: object
    count: int


@require_safe
@page
def index(request: HttpRequest, execution_id: int) -> HttpResponse:
    """One run's lines, all or of one outcome, with what they come to."""
    jobs.require(request, "list")
    execution = Execution.objects.filter(pk=execution_id).first() if execution_id < 2**63 else None
    if execution is None:
        raise Http404
    totals = reports.totals(execution.pk)
    views = _views(totals)
    chosen = request.GET.get("outcome", "")
    if chosen not in {view.name for view in views}:
        chosen = ""
    # What was there needs no line each: the totals say how much it was.
    lines = ReportLine.objects.of(execution.pk).exclude(outcome=ReportLine.Outcome.UNCHANGED)
    lines = lines.exclude(subject="")
    if chosen:
        lines = lines.filter(outcome=chosen)
    listed = page_of(request, lines.order_by("pk"))
    context = {
        "section": "jobs",
        "execution": execution,
        "label": jobs.label_of(execution.kind),
        "totals": [
            (
                total,
                KIND_WORDS.get(total.subject_kind, total.subject_kind),
                ReportLine.Outcome(total.outcome).label,
            )
            for total in totals
        ],
        "views": views,
        "view": chosen,
        "page": listed,
        "rows": [(line, KIND_WORDS.get(line.subject_kind, line.subject_kind)) for line in listed],
    }
    return render(request, "jobs/report.html", context)


def _views(totals: list[reports.Total]) -> list[View]:
    counts: dict[str, int] = {}
    for total in totals:
        if total.outcome in _VIEW_WORDS:
            counts[total.outcome] = counts.get(total.outcome, 0) + total.lines
    every = View("", _VIEW_WORDS[""], sum(counts.values()))
    return [every, *(View(name, _VIEW_WORDS[name], counts[name]) for name in sorted(counts))]
