"""The audit in the API: who sees which part of it, and how it leaves the house."""

import csv
import io
import json
from collections.abc import Callable

import pytest

from accounts import audit
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM, Actor
from portal.api import audit_logs
from tests.portal.api.conftest import Answer, Caller, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


def streamed(response: Answer) -> str:
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content).decode()


def resources(response: Answer) -> list[str]:
    assert response.status_code == 200, response.content
    return [entry["resource"] for entry in told(response)]


class TestListing:
    def test_the_contracts_fields(self, caller: Callers) -> None:
        response = caller("admin").get("auditlog-exts?q=operation=create,resource_type=project")
        newest = told(response)[0]
        assert newest.pop("id")
        assert newest.pop("op_time").endswith("Z")
        assert newest == {
            "username": "system",
            "resource": "library",
            "resource_type": "project",
            "operation": "create",
            "operation_description": "create project: library",
            "operation_result": True,
            "address": "",
            "request_id": "",
            "detail": {"public": True},
        }
        assert response["X-Total-Count"] == "2"
        legacy = told(caller("admin").get("audit-logs?q=resource=library"))[0]
        assert set(legacy) == {
            "id",
            "username",
            "resource",
            "resource_type",
            "operation",
            "op_time",
        }

    def test_pages(self, caller: Callers) -> None:
        first = told(caller("admin").get("audit-logs?page_size=2"))
        second = told(caller("admin").get("audit-logs?page_size=2&page=2"))
        numbers = [entry["id"] for entry in [*first, *second]]
        assert numbers == sorted(numbers, reverse=True)
        oldest = told(caller("admin").get("audit-logs?sort=op_time&page_size=1"))
        assert oldest[0]["resource"] == "admin"

    @pytest.mark.parametrize(
        ("q", "found"),
        [
            ("username=nobody", []),
            ("resource=~ea", ["team: carol", "team: bob", "team"]),
            ("operation=~cre,resource=team", ["team"]),
            ("operation=delete", []),
            ("resource_type=~memb", ["team: carol", "team: bob"]),
            ("resource_type=member", ["team: carol", "team: bob"]),
            ("operation_result=false", ["mallory"]),
            ("op_time=[2020-01-01~2020-12-31]", []),
            ("resource=team,op_time=[2020-01-01 00:00:00~]", ["team"]),
            ("resource=team,op_time=[~2020-01-01T00:00:00Z]", []),
        ],
    )
    def test_filters(self, caller: Callers, q: str, found: list[str]) -> None:
        stranger = Actor(SYSTEM)
        outcome = AuditEntry.Outcome.DENIED
        audit.record(stranger, "login_user", "mallory", outcome=outcome)
        assert resources(caller("admin").get(f"auditlog-exts?q={q}")) == found

    @pytest.mark.parametrize(
        "asked",
        [
            "q=detail__x=1",
            "q=actor_id=1",
            "q=operation=(.*)*",
            "q=operation=a.b",
            "q=op_time=yesterday",
            "q=op_time=[1~2]",
            "q=op_time=[0001-01-01T00:00:00%2B23:59~]",
            "q=operation_result=perhaps",
            "sort=detail",
            "sort=request_id",
        ],
    )
    def test_strange_questions(self, caller: Callers, asked: str) -> None:
        assert caller("admin").get(f"auditlog-exts?{asked}").status_code == 400

    def test_a_project_shows_its_own_entries_only(self, caller: Callers, team: Project) -> None:
        assert resources(caller("alice").get("projects/team/logs")) == [
            "team: carol",
            "team: bob",
            "team",
        ]
        by_number = caller("alice").get(f"projects/{team.pk}/auditlog-exts")
        assert len(told(by_number)) == 3

    def test_every_kind_of_event_is_a_word_and_a_noun(self, caller: Callers) -> None:
        shown = [event["event_type"] for event in told(caller("bob").get("auditlog-exts/events"))]
        assert shown == sorted(shown)
        written = set(AuditEntry.objects.values_list("action", flat=True))
        assert written <= set(shown)


class TestExport:
    def test_json_lines(self, caller: Callers) -> None:
        response = caller("admin").get("auditlog-exts/export?format=jsonl&q=resource=team")
        (line,) = streamed(response).splitlines()
        entry = json.loads(line)
        assert (entry["operation"], entry["resource_type"]) == ("create", "project")
        assert response["Content-Disposition"] == 'attachment; filename="audit.jsonl"'

    def test_a_cell_is_no_formula(self, caller: Callers, team: Project) -> None:
        words = ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain, with comma"]
        for word in words:
            audit.record(Actor(SYSTEM), "update_project", word, project=team)
        text = streamed(caller("alice").get("projects/team/auditlog-exts/export"))
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        shown = {row["resource"] for row in rows if row["operation"] == "update"}
        assert shown == {*(f"'{word}" for word in words[:-1]), words[-1]}

    def test_in_batches(self, caller: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit_logs, "_EXPORT_BATCH", 2)
        lines = streamed(caller("admin").get("auditlog-exts/export?format=jsonl")).splitlines()
        assert len(lines) == AuditEntry.objects.count()
        numbers = [json.loads(line)["id"] for line in lines]
        assert len(set(numbers)) == len(numbers)

    def test_another_form(self, caller: Callers) -> None:
        assert caller("admin").get("auditlog-exts/export?format=xlsx").status_code == 400
