"""The page of a repository's history: every state of its tags, and the way back to one."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import require
from accounts.errors import Conflict, PreconditionFailed
from portal.web.access import (
    actor_of,
    is_fragment,
    page,
    principal_of,
    public_page,
    visible_project,
)
from portal.web.keyset import slice_of
from portal.web.paging import query_of
from portal.web.repositories import repository_of
from portal.web.repository_tabs import frame, rights_in
from registry_sync import immutability, tag_history
from registry_sync.models import Repository, Tag, TagEvent
from registry_sync.tag_history import Whereabouts
from registry_sync.tag_names import is_tag


@dataclass(frozen=True, slots=True)
class _Row:
    """A state as its row shows it."""

    state: TagEvent
    artifact: str
    is_current: bool
    may_go_back: bool


@require_safe
@public_page
def index(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """Every state of a repository's tags, or of one, the newest first."""
    repository = repository_of(visible_project(request, project), path)
    tag, query = request.GET.get("tag", ""), query_of(request)
    tag = tag if is_tag(tag) else ""
    states = tag_history.states(repository, tag)
    if query:
        states = states.filter(tag__icontains=query)
    listed = slice_of(request, states, ("-pk",))
    own = rights_in(request, repository)
    context = frame(request, repository, "history") | {
        "tag": tag,
        "query": query,
        "slice": listed,
        "rows": _rows(repository, listed.rows, own),
        "may_read_log": "log:list" in own,
        "may_see_runs": "artifact:delete" in own,
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"repositories/history.html{fragment}", context)


def _rows(repository: Repository, states: list[TagEvent], own: frozenset[str]) -> list[_Row]:
    names = {state.tag for state in states}
    now = dict(
        Tag.objects.filter(repository=repository, name__in=names, artifact__isnull=False)
        .order_by()
        .values_list("name", "artifact__body_id")
    )
    held = immutability.held_among(repository, now)
    found = tag_history.whereabouts(repository, {s.to_digest for s in states if s.to_digest})
    may_reach = {Whereabouts.LIVE} if "tag:create" in own else set()
    if may_reach and "artifact:delete" in own:
        may_reach.add(Whereabouts.TRASHED)
    return [
        _Row(
            state=state,
            artifact=str(found.get(state.to_digest, "")),
            is_current=tag_history.end_of(state) is None,
            may_go_back=found.get(state.to_digest) in may_reach
            and now.get(state.tag) != state.to_digest
            and state.tag not in held,
        )
        for state in states
    ]


@require_POST
@page
def restore(request: HttpRequest, project: str, path: str, state_id: str) -> HttpResponse:
    """Let a tag point again to where it pointed then; where it cannot, say why."""
    found = visible_project(request, project)
    require(principal_of(request), "tag:create", found)
    repository = repository_of(found, path)
    states = TagEvent.objects.filter(repository=repository, pk=min(int(state_id), 2**63 - 1))
    state = states.first()
    if state is None:
        raise Http404
    places = tag_history.whereabouts(repository, [state.to_digest])
    if places[state.to_digest] == Whereabouts.TRASHED:
        require(principal_of(request), "artifact:delete", found)
    try:
        tag_history.go_back(repository, state.pk, actor=actor_of(request))
    except (Conflict, PreconditionFailed) as error:
        messages.error(request, _("It was not restored: %(reason)s.") % {"reason": error})
    else:
        text = _("%(tag)s points to %(digest)s again.")
        messages.success(request, text % {"tag": state.tag, "digest": state.to_digest[:19]})
    address = reverse("repositories:history", args=[found.name, repository.path])
    return redirect(f"{address}?{urlencode({'tag': state.tag})}")
