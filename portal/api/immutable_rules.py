"""A project's immutable rules, in the contract's form."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from portal.api import projects, query
from portal.api.base import SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed
from registry_sync import immutable_rules
from registry_sync.immutability import Rule, rule_of
from registry_sync.immutable_rules import Preview
from registry_sync.models import ImmutableRule
from registry_sync.models.immutability import Match

_SORTS = {"id": "pk", "creation_time": "created_at"}
# The contract's decorations.
_REPOSITORIES = {"repoMatches": Match.MATCHES, "repoExcludes": Match.EXCLUDES}
_TAGS = {"matches": Match.MATCHES, "excludes": Match.EXCLUDES}
_KIND, _ACTION, _TEMPLATE = "doublestar", "immutable", "immutable_template"


class SelectorSerializer(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ImmutableSelector``."""

    kind = serializers.ChoiceField(choices=[_KIND], required=False)
    decoration = serializers.CharField()
    pattern = serializers.CharField(max_length=255, trim_whitespace=False)
    extras = serializers.CharField(required=False, allow_blank=True)


class ScopeSerializer(serializers.Serializer[dict[str, Any]]):
    """Which repositories a rule speaks of."""

    repository = serializers.ListField(child=SelectorSerializer(), min_length=1, max_length=1)


class ImmutableRuleInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``ImmutableRule``: one selector of repositories, one of tags."""

    disabled = serializers.BooleanField(required=False)
    action = serializers.ChoiceField(choices=[_ACTION, ""], required=False)
    template = serializers.ChoiceField(choices=[_TEMPLATE, ""], required=False)
    tag_selectors = serializers.ListField(child=SelectorSerializer(), min_length=1, max_length=1)
    scope_selectors = ScopeSerializer(required=False)


class ImmutableRuleChange(ImmutableRuleInput):
    """The same for a change: what is left out stays as it is."""

    tag_selectors = serializers.ListField(
        child=SelectorSerializer(), min_length=1, max_length=1, required=False
    )


class ImmutableRuleOutput(serializers.Serializer[ImmutableRule]):
    """The contract's ``ImmutableRule``."""

    id = serializers.IntegerField(source="pk")
    priority = serializers.SerializerMethodField()
    disabled = serializers.BooleanField(source="is_disabled")
    action = serializers.SerializerMethodField()
    template = serializers.SerializerMethodField()
    tag_selectors = serializers.SerializerMethodField()
    scope_selectors = serializers.SerializerMethodField()

    def get_priority(self, row: ImmutableRule) -> int:
        """Return what the contract asks for; each rule that matches holds."""
        return 0

    def get_action(self, row: ImmutableRule) -> str:
        """Return the only action."""
        return _ACTION

    def get_template(self, row: ImmutableRule) -> str:
        """Return the only template."""
        return _TEMPLATE

    def get_tag_selectors(self, row: ImmutableRule) -> list[dict[str, str]]:
        """Return which tags it holds."""
        return [_selector(_TAGS, row.tag_match, row.tag_pattern)]

    def get_scope_selectors(self, row: ImmutableRule) -> dict[str, list[dict[str, str]]]:
        """Return which repositories it speaks of."""
        chosen = _selector(_REPOSITORIES, row.repository_match, row.repository_pattern)
        return {"repository": [chosen]}


class PreviewOutput(serializers.Serializer[Preview]):
    """What a rule would hold."""

    tags = serializers.IntegerField()
    repositories = serializers.IntegerField()
    examples = serializers.ListField(child=serializers.CharField())
    is_partial = serializers.BooleanField()


class ImmutableRules(Endpoint):
    """``/projects/{project_name_or_id}/immutabletagrules``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(gives=ImmutableRuleOutput, is_list=True, name="ListImmuRules"),
        "POST": Operation(takes=ImmutableRuleInput, status=201, name="CreateImmuRule"),
    }
    noun = "immutable_rule"

    def get(self, request: Request, name_or_id: str) -> Response:
        """List the project's immutable rules."""
        project = _project(self, request, name_or_id, "list")
        found = ImmutableRule.objects.filter(project=project)
        found = query.matching(found, request, {"tag_pattern": "tag_pattern"})
        found = query.ordered(found, request, _SORTS)
        page = Page.of(request)
        return Response(
            listed(ImmutableRuleOutput, page.rows(found)),
            headers=page.headers(request, page.total(found)),
        )

    def post(self, request: Request, name_or_id: str) -> Response:
        """Make a rule."""
        project = _project(self, request, name_or_id, "create")
        serializer = ImmutableRuleInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        row = immutable_rules.create(
            project,
            rule=_rule(wanted, Rule("")),
            is_disabled=wanted.get("disabled", False),
            actor=self.actor,
        )
        location = f"{API_ROOT}/projects/{project.pk}/immutabletagrules/{row.pk}"
        return Response(status=201, headers={"Location": location})


class OneImmutableRule(Endpoint):
    """``/projects/{project_name_or_id}/immutabletagrules/{immutable_rule_id}``."""

    permissions = {"PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "PUT": Operation(takes=ImmutableRuleChange, name="UpdateImmuRule"),
        "DELETE": Operation(name="DeleteImmuRule"),
    }
    noun = "immutable_rule"

    def put(self, request: Request, name_or_id: str, rule_id: int) -> Response:
        """Change a rule, or switch it off and on."""
        row = _find(self, request, name_or_id, rule_id, "update")
        serializer = ImmutableRuleChange(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        immutable_rules.update(
            row,
            rule=_rule(wanted, rule_of(row)),
            is_disabled=wanted.get("disabled", row.is_disabled),
            actor=self.actor,
        )
        return Response()

    def delete(self, request: Request, name_or_id: str, rule_id: int) -> Response:
        """Delete a rule."""
        row = _find(self, request, name_or_id, rule_id, "delete")
        immutable_rules.remove(row, actor=self.actor)
        return Response()


class ImmutableRulePreview(Endpoint):
    """``/projects/{project_name_or_id}/immutabletagrules/preview``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=ImmutableRuleInput, gives=PreviewOutput)}
    noun = "immutable_rule"

    def post(self, request: Request, name_or_id: str) -> Response:
        """Tell what a rule would hold; nothing is changed."""
        project = _project(self, request, name_or_id, "list")
        serializer = ImmutableRuleInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        found = immutable_rules.preview(project, _rule(serializer.validated_data, Rule("")))
        return Response(PreviewOutput(found).data)


def _project(endpoint: Endpoint, request: Request, name_or_id: str, verb: str) -> Project:
    project = projects.find(request, name_or_id, principal=endpoint.principal)
    access.require(endpoint.principal, f"immutable-tag:{verb}", project)
    return project


def _find(
    endpoint: Endpoint, request: Request, name_or_id: str, rule_id: int, verb: str
) -> ImmutableRule:
    """Return a rule of this project; another project's is not there."""
    project = _project(endpoint, request, name_or_id, verb)
    found = ImmutableRule.objects.filter(project=project, pk=query.row_id(rule_id)).first()
    if found is None:
        raise NotFound("immutable rule not found")
    return found


def _rule(wanted: Mapping[str, Any], current: Rule) -> Rule:
    """Read the selectors; those that are missing are the current ones."""
    tags, repositories = wanted.get("tag_selectors"), wanted.get("scope_selectors")
    tag_match, tag_pattern = current.tag_match, current.tag_pattern
    match, pattern = current.repository_match, current.repository_pattern
    if tags:
        tag_match, tag_pattern = _read(tags[0], _TAGS, "tag_selectors")
    if repositories:
        chosen = repositories["repository"][0]
        match, pattern = _read(chosen, _REPOSITORIES, "scope_selectors")
    return Rule(tag_pattern, tag_match, pattern, match)


def _read(
    selector: Mapping[str, str], decorations: Mapping[str, Match], field: str
) -> tuple[str, str]:
    match = decorations.get(selector["decoration"])
    if match is None:
        raise BadRequest(f"decoration must be {' or '.join(decorations)}.", field=field)
    return match, selector["pattern"]


def _selector(decorations: Mapping[str, Match], match: str, pattern: str) -> dict[str, str]:
    decoration = next(name for name, held in decorations.items() if held == match)
    return {"kind": _KIND, "decoration": decoration, "pattern": pattern}
