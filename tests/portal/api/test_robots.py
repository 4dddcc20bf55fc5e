"""/robots and /permissions."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts import members, projects, robots
from accounts.models import AuditEntry, Project, Robot, User
from accounts.principals import SYSTEM_ACTOR
from accounts.roles import Role
from tests.portal.api.conftest import Answer, Caller, basic, error_of, told

pytestmark = pytest.mark.django_db
Callers = Callable[[str], Caller]


def block(*actions: str, namespace: str = "team", kind: str = "project") -> dict[str, Any]:
    pairs = [action.split(":") for action in actions]
    return {
        "kind": kind,
        "namespace": namespace,
        "access": [{"resource": resource, "action": verb} for resource, verb in pairs],
    }


def body(*blocks: dict[str, Any], level: str = "project", **more: Any) -> dict[str, Any]:
    return {
        "name": "ci",
        "level": level,
        "permissions": list(blocks) or [block("repository:pull")],
        **more,
    }


def system_body(*actions: str, **more: Any) -> dict[str, Any]:
    return body(block(*actions, namespace="/", kind="system"), level="system", **more)


def made(response: Answer) -> Any:
    assert response.status_code == 201, response.content
    return told(response)


class TestMaking:
    def test_the_secret_is_in_this_one_answer(self, caller: Callers) -> None:
        response = caller("alice").post("robots", body(duration=7, description="builds"))
        answer = made(response)
        robot = Robot.objects.get()
        assert answer["name"] == "robot+team+ci"
        assert robots.find("team+ci", answer["secret"], actor=SYSTEM_ACTOR)
        assert response["Location"] == f"/api/v2.0/robots/{robot.pk}"
        shown = caller("alice").get(f"robots/{robot.pk}")
        assert answer["secret"].encode() not in shown.content
        assert "secret" not in told(shown)
        assert told(shown)["duration"] == 7

    def test_the_contracts_fields(self, caller: Callers) -> None:
        number = made(caller("alice").post("robots", body(duration=-1)))["id"]
        shown = told(caller("alice").get(f"robots/{number}"))
        for name in ("creation_time", "update_time", "creator_ref", "id"):
            assert shown.pop(name)
        assert shown == {
            "name": "robot+team+ci",
            "description": "",
            "level": "project",
            "duration": -1,
            "editable": True,
            "disable": False,
            "expires_at": -1,
            "creator_type": "local",
            "creator_name": "alice",
            "allowed_networks": [],
            "push_tag_patterns": [],
            "last_used": None,
            "last_used_address": "",
            "permissions": [
                {
                    "kind": "project",
                    "namespace": "team",
                    "access": [{"resource": "repository", "action": "pull", "effect": "allow"}],
                }
            ],
        }

    def test_the_default_duration_is_the_systems(self, caller: Callers) -> None:
        caller("admin").call("PUT", "configurations", {"robot_token_duration": 3})
        number = made(caller("alice").post("robots", body()))["id"]
        assert told(caller("alice").get(f"robots/{number}"))["duration"] == 3

    def test_of_the_system_with_every_scope(self, caller: Callers) -> None:
        blocks = (
            block("audit-log:list", "project:*", namespace="/", kind="system"),
            block("repository:pull", namespace="*"),
            block("repository:push"),
        )
        number = made(caller("admin").post("robots", body(*blocks, level="system")))["id"]
        shown = told(caller("admin").get(f"robots/{number}"))["permissions"]
        assert [(p["kind"], p["namespace"]) for p in shown] == [
            ("system", "/"),
            ("project", "*"),
            ("project", "team"),
        ]
        assert [a["resource"] + ":" + a["action"] for a in shown[0]["access"]] == [
            "audit-log:list",
            "project:create",
            "project:list",
        ]

    def test_networks_and_patterns(self, caller: Callers) -> None:
        wanted: dict[str, Any] = {"allowed_networks": ["10.0.0.0/8"], "push_tag_patterns": ["pr-*"]}
        number = made(caller("alice").post("robots", body(**wanted)))["id"]
        shown = told(caller("alice").get(f"robots/{number}"))
        assert {name: shown[name] for name in wanted} == wanted

    @pytest.mark.parametrize(
        ("wanted", "words"),
        [
            ({"name": "Not Good"}, "lower-case"),
            ({"level": "galaxy"}, "level"),
            ({"permissions": []}, "one block"),
            ({"permissions": [block("repository:fly")]}, "no permission"),
            ({"permissions": [block("audit-log:list")]}, "no permission"),
            ({"permissions": [block("repository:pull", namespace="/")]}, "namespace"),
            ({"permissions": [block("repository:pull")] * 2}, "one block"),
            ({"permissions": [{"kind": "project", "namespace": "team", "access": []}]}, "Choose"),
            (
                {
                    "permissions": [
                        {
                            "kind": "project",
                            "namespace": "team",
                            "access": [
                                {"resource": "repository", "action": "pull", "effect": "deny"}
                            ],
                        }
                    ]
                },
                "effect",
            ),
            ({"duration": -2}, "duration"),
            ({"duration": 10**9}, "duration"),
            ({"allowed_networks": ["everywhere"]}, "network"),
            ({"push_tag_patterns": ["a b"]}, "pattern"),
            ({"secret": "short"}, "12"),
        ],
        ids=str,
    )
    def test_what_means_nothing(self, caller: Callers, wanted: dict[str, Any], words: str) -> None:
        response = caller("alice").post("robots", body() | wanted)
        assert response.status_code == 400, response.content
        assert words in error_of(response)[1]
        assert not Robot.objects.exists()

    def test_a_taken_name(self, caller: Callers) -> None:
        made(caller("alice").post("robots", body()))
        assert caller("alice").post("robots", body()).status_code == 409

    @pytest.mark.parametrize(
        ("username", "status"), [("", 401), ("mallory", 404), ("carol", 403), ("bob", 403)]
    )
    def test_who_may_not(self, caller: Callers, username: str, status: int) -> None:
        assert caller(username).post("robots", body()).status_code == status
        assert not Robot.objects.exists()

    def test_a_maintainer_does_not(self, caller: Callers, team: Project, mallory: User) -> None:
        members.add(team, user=mallory, role=Role.MAINTAINER, actor=SYSTEM_ACTOR)
        assert caller("mallory").post("robots", body()).status_code == 403

    def test_a_project_admin_makes_none_of_the_system_and_none_elsewhere(
        self, caller: Callers
    ) -> None:
        alice = caller("alice")
        assert alice.post("robots", system_body("quota:read")).status_code == 403
        assert alice.post("robots", body(level="system")).status_code == 403
        other = body(block("repository:pull", namespace="library"))
        assert alice.post("robots", other).status_code == 403
        everywhere = body(block("repository:pull", namespace="*"))
        assert alice.post("robots", everywhere).status_code == 400

    def test_a_refusal_is_in_the_audit(self, caller: Callers) -> None:
        caller("alice").post("robots", system_body("quota:read"))
        entry = AuditEntry.objects.get(action="create_robot")
        assert (entry.actor_name, entry.outcome) == ("alice", "denied")
        assert entry.resource == "/api/v2.0/robots"


class TestByRobots:
    def robot(self, caller: Callers, *actions: str) -> Callable[..., Answer]:
        answer = made(caller("admin").post("robots", system_body(*actions)))
        header = basic(answer["name"], answer["secret"])

        def call(method: str, path: str, data: object = None) -> Answer:
            return caller("").call(method, path, data, Authorization=header)

        return call

    def test_it_does_what_it_was_given(self, caller: Callers) -> None:
        call = self.robot(caller, "quota:list", "audit-log:list", "robot:list")
        assert call("GET", "quotas").status_code == 200
        assert call("GET", "audit-logs").status_code == 200
        assert call("GET", "robots").status_code == 200
        assert call("GET", "systeminfo/volumes").status_code == 403
        assert call("GET", "configurations").status_code == 403

    def test_it_makes_projects_which_an_administrator_owns(self, caller: Callers) -> None:
        call = self.robot(caller, "project:create")
        assert call("POST", "projects", {"project_name": "fresh"}).status_code == 201
        assert Project.objects.get(name="fresh").owner.username == "admin"

    def test_it_makes_robots_within_its_own_rights(self, caller: Callers) -> None:
        call = self.robot(caller, "robot:create", "quota:read")
        small, wide = system_body("quota:read"), system_body("quota:update")
        assert call("POST", "robots", small | {"name": "small"}).status_code == 201
        assert call("POST", "robots", wide | {"name": "wide"}).status_code == 403

    def test_it_does_not_widen_itself(self, caller: Callers) -> None:
        call = self.robot(caller, "robot:create", "robot:read", "robot:delete")
        number = Robot.objects.get().pk
        for method, data in (("PUT", system_body("quota:update")), ("PATCH", {})):
            assert call(method, f"robots/{number}", data).status_code == 403


def test_a_projects_robot_is_told_what_it_lacks_there(caller: Callers, mallory: User) -> None:
    projects.create(name="elsewhere", owner=mallory, actor=SYSTEM_ACTOR)
    answer = made(caller("alice").post("robots", body(block("repository:pull"))))
    header = basic(answer["name"], answer["secret"])

    def asked(path: str) -> tuple[int, str]:
        given = caller("").call("GET", path, Authorization=header)
        return given.status_code, error_of(given)[1]

    assert asked("projects/team/repositories") == (403, "the robot lacks repository:list")
    assert asked("projects/elsewhere/repositories") == (404, "project not found")


class TestListing:
    def test_levels(self, caller: Callers, team: Project) -> None:
        made(caller("alice").post("robots", body()))
        made(caller("admin").post("robots", system_body("quota:read")))
        names = [robot["name"] for robot in told(caller("admin").get("robots"))]
        assert names == ["robot+ci"]
        response = caller("alice").get(f"robots?q=Level=project,ProjectID={team.pk}")
        assert [robot["name"] for robot in told(response)] == ["robot+team+ci"]
        assert response["X-Total-Count"] == "1"

    @pytest.mark.parametrize(
        ("username", "status"),
        [("", 401), ("mallory", 404), ("carol", 200), ("bob", 200), ("admin", 200)],
    )
    def test_of_a_project(self, caller: Callers, team: Project, username: str, status: int) -> None:
        path = f"robots?q=Level=project,ProjectID={team.pk}"
        assert caller(username).get(path).status_code == status

    @pytest.mark.parametrize(
        "q",
        [
            "Level=project",
            "Level=galaxy",
            "Level=project,ProjectID=x",
            "secret_hash=~sha",
            "ProjectID=%00",
        ],
    )
    def test_strange_questions(self, caller: Callers, q: str) -> None:
        assert caller("admin").get(f"robots?q={q}").status_code == 400
        assert caller("admin").get("robots?sort=secret_hash").status_code == 400


class TestOne:
    @pytest.fixture
    def number(self, caller: Callers) -> int:
        return int(made(caller("alice").post("robots", body()))["id"])

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_hidden_and_missing_look_alike(self, caller: Callers, number: int, method: str) -> None:
        for username in ("mallory", ""):
            hidden = caller(username).call(method, f"robots/{number}", body())
            missing = caller(username).call(method, "robots/4711", body())
            assert hidden.status_code == missing.status_code
            assert hidden.content == missing.content
        assert Robot.objects.filter(deleted_at=None, auth_epoch=1).exists()

    def test_a_body_does_not_move_it_to_another_project(self, caller: Callers, number: int) -> None:
        caller("mallory").post("projects", {"project_name": "mine"})
        theirs = body(block("repository:push", namespace="mine"))
        assert caller("mallory").call("PUT", f"robots/{number}", theirs).status_code == 404
        assert caller("alice").call("PUT", f"robots/{number}", theirs).status_code == 404

    def test_an_enormous_number_is_just_not_there(self, caller: Callers) -> None:
        assert caller("admin").get(f"robots/{10**30}").status_code == 404

    def test_a_change_keeps_what_harbors_clients_do_not_know(self, caller: Callers) -> None:
        alice = caller("alice")
        wanted = body(allowed_networks=["127.0.0.0/8"], push_tag_patterns=["v*"], duration=9)
        number = made(alice.post("robots", wanted))["id"]
        change = body(block("repository:push"), description="new", disable=True)
        change["name"] = "robot+team+ci"
        assert alice.call("PUT", f"robots/{number}", change).status_code == 200
        shown = told(alice.get(f"robots/{number}"))
        assert (shown["description"], shown["disable"], shown["duration"]) == ("new", True, 9)
        assert shown["allowed_networks"] == ["127.0.0.0/8"]
        assert shown["push_tag_patterns"] == ["v*"]
        assert shown["permissions"][0]["access"][0]["action"] == "push"

    @pytest.mark.parametrize("wanted", [{"name": "other"}, {"level": "system"}])
    def test_name_and_level_stay(
        self, caller: Callers, number: int, wanted: dict[str, Any]
    ) -> None:
        response = caller("alice").call("PUT", f"robots/{number}", body() | wanted)
        assert response.status_code == 400

    def test_a_new_secret_ends_the_old_one(self, caller: Callers) -> None:
        alice = caller("alice")
        answer = made(alice.post("robots", body()))
        new = told(alice.call("PATCH", f"robots/{answer['id']}", {}))["secret"]
        assert robots.find("team+ci", new, actor=SYSTEM_ACTOR)
        assert not robots.find("team+ci", answer["secret"], actor=SYSTEM_ACTOR)

    def test_or_lets_it_work_on_where_asked(self, caller: Callers) -> None:
        alice = caller("alice")
        answer = made(alice.post("robots", body()))
        alice.call("PATCH", f"robots/{answer['id']}", {"overlap_hours": 24})
        assert robots.find("team+ci", answer["secret"], actor=SYSTEM_ACTOR)

    def test_a_chosen_secret_is_not_repeated(self, caller: Callers, number: int) -> None:
        chosen = {"secret": "a secret of our own"}
        response = caller("alice").call("PATCH", f"robots/{number}", chosen)
        assert told(response) == {"secret": ""}
        assert robots.find("team+ci", chosen["secret"], actor=SYSTEM_ACTOR)

    def test_deleting(self, caller: Callers, number: int) -> None:
        assert caller("bob").call("DELETE", f"robots/{number}").status_code == 403
        assert caller("alice").call("DELETE", f"robots/{number}").status_code == 200
        assert caller("alice").get(f"robots/{number}").status_code == 404

    def test_no_secret_is_in_the_audit(self, caller: Callers) -> None:
        alice = caller("alice")
        answer = made(alice.post("robots", body()))
        new = told(alice.call("PATCH", f"robots/{answer['id']}", {}))["secret"]
        text = str(list(AuditEntry.objects.values()))
        assert answer["secret"] not in text
        assert new not in text


def test_permissions(caller: Callers) -> None:
    shown = told(caller("bob").get("permissions"))
    assert {"resource": "audit-log", "action": "list"} in shown["system"]
    assert {"resource": "repository", "action": "push"} in shown["project"]
    assert {"resource": "robot", "action": "update"} not in shown["project"]
