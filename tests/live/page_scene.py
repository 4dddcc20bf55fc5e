"""Something to see on every page; runs inside a stack's ``manage.py shell``.

The images are there already: ``tools/hello:1.0``, ``old`` and ``gone``, and ``several:2.0``.
"""

import datetime

from django.utils import timezone

from accounts import cve_allowlist, members, projects, resets, robots, users
from accounts.models import Project, Robot, User
from accounts.principals import SYSTEM_ACTOR, Actor, Principal
from accounts.projects import Changes
from accounts.robots import Permission, Terms
from accounts.roles import Role
from registry_sync import (
    dispatch,
    garbage,
    immutable_rules,
    labels,
    remote_registries,
    repositories,
    schedules,
    tasks,
    trash,
)
from registry_sync.executions import Order
from registry_sync.executions import create as create_execution
from registry_sync.executions import stop as stop_execution
from registry_sync.immutability import Rule
from registry_sync.labels import Look
from registry_sync.models import (
    Artifact,
    Execution,
    ProxyDay,
    Repository,
    Schedule,
    UpstreamState,
)
from registry_sync.proxy_cache import projects as proxies
from registry_sync.remote_registries import Address
from registry_sync.replication import policies
from tests.live import page_intruders
from tests.live.page_intruders import HOSTILE

GIB = 2**30


def make(project_name: str) -> dict[str, str]:
    """Fill the project; return what the pages' paths hold."""
    project = Project.objects.get(name=project_name)
    admin = User.objects.get(username="admin")
    actor = Actor(Principal("user", "admin", admin.pk, is_administrator=True), "127.0.0.1")
    project = projects.update(project, changes=Changes(storage_limit=GIB), actor=actor)
    user, _reset = _people(project, actor)
    empty = projects.create(name=f"{project_name}-empty", owner=admin, actor=actor)
    gone = projects.create(name=f"{project_name}-gone", owner=admin, actor=actor)
    projects.remove(gone, actor=actor)
    cve_allowlist.replace(project, cve_ids=["CVE-2024-3094"], expires_at=None, actor=actor)
    robot, system_robot = _robots(project, actor)
    label = labels.create(project, look=Look("tested", HOSTILE, "#FFDC0B"), actor=actor)
    look = Look(f"{project_name}-stale", HOSTILE, "#9B0D54")
    system_label = labels.create(None, look=look, actor=actor)
    hello = Repository.objects.get(project=project, path="tools/hello")
    image = Artifact.objects.live().get(repository=hello, tags__name="1.0")
    index = Artifact.objects.live().get(repository__project=project, tags__name="2.0")
    labels.attach(image, label, actor=actor)
    repositories.describe(hello, description=f"Says hello {HOSTILE}", actor=actor)
    run = create_execution("bulk_delete", actor=actor, project_id=project.pk, is_exclusive=False)
    trash.delete_tag(hello, "gone", actor=actor, execution_id=run.pk)
    entry = trash.delete_tag(hello, "old", actor=actor)
    rule = immutable_rules.create(project, rule=Rule("v*"), actor=actor)
    registry, policy, replication_run = _replication(project, actor)
    proxy = _proxy(project_name, registry, actor)
    # The worker makes them with its first tick, which may be to come.
    schedules.ensure(tasks.DEFAULT_SCHEDULES, tasks.FIRST_SCHEDULES)
    page_intruders.push(image)
    page_intruders.live(project, admin, actor)
    for number in (run.pk, replication_run):
        page_intruders.fail(Execution.objects.get(pk=number))
    return {
        "project": project.name,
        "empty": empty.name,
        "proxy": proxy,
        "robot": str(robot.pk),
        "system_robot": str(system_robot.pk),
        "label": str(label.pk),
        "system_label": str(system_label.pk),
        "user": str(user.pk),
        "image": image.digest,
        "index": index.digest,
        "trash_entry": str(entry.pk),
        "run": str(run.pk),
        "immutable_rule": str(rule.pk),
        "registry": str(registry),
        "replication": str(policy),
        "replication_run": str(replication_run),
        "garbage_run": str(_garbage(actor)),
        "execution": str(dispatch.start("fsck", actor=SYSTEM_ACTOR).pk),
        "schedule": str(Schedule.objects.order_by("pk")[0].pk),
        "reset": _reset,
    }


def _people(project: Project, actor: Actor) -> tuple[User, str]:
    """Somebody with a role, and the secret of their link for a new password."""
    user = users.create(
        username=f"{project.name}-dana",
        password="a password of their own",
        email=f"{project.name}@example.com",
        realname=f"Dana {HOSTILE}",
        comment=HOSTILE,
        actor=actor,
    )
    members.add(project, user=user, role=Role.DEVELOPER, actor=actor)
    return user, resets.create(user, actor=actor)[1]


def _robots(project: Project, actor: Actor) -> tuple[Robot, Robot]:
    """A robot of the project, and one of the system."""
    pull = Permission("repository:pull", project)
    terms = Terms(
        f"Builds {HOSTILE}", 30, (pull, Permission("label:create", project)), (), ("pr-*",)
    )
    robot, _secret = robots.create(name="ci", project=project, terms=terms, actor=actor)
    rights = (Permission("user:list", None, is_system=True), pull)
    terms = Terms(HOSTILE, None, rights)
    name = f"{project.name}-ops"
    system_robot, _secret = robots.create(name=name, project=None, terms=terms, actor=actor)
    return robot, system_robot


def _replication(project: Project, actor: Actor) -> tuple[int, int, int]:
    """Another registry, a policy to copy there, and a run that was stopped; nothing is copied."""
    remote = remote_registries.create(
        name=f"{project.name}-mirror",
        description=HOSTILE,
        address=Address("https://registry.example.com", username="robot", password="a secret 12"),
        actor=actor,
    )
    terms = policies.Terms(name=f"{project.name}-out", remote=remote, is_enabled=False)
    policy = policies.create(terms, actor=actor).pk
    orders = [Order(), Order(HOSTILE, {"destination": HOSTILE, "tags": ["v1"]})]
    run = create_execution(policies.KIND, actor=actor, policy_id=policy, orders=orders)
    stop_execution(run.pk, actor=actor)
    return remote.pk, policy, run.pk


def _proxy(name: str, registry: int, actor: Actor) -> str:
    """A proxy project that saved something and whose registry does not answer."""
    made = proxies.create(
        name=f"{name}-proxy",
        remote_id=registry,
        bounds=proxies.Changes(pattern="library/**", speed_limit=500),
        actor=actor,
    )
    today = timezone.now()
    counts = {"hits": 900, "misses": 100, "stale": 3, "upstream_errors": 2}
    for days in range(3):
        day = today.date() - datetime.timedelta(days=days)
        size = {"hit_bytes": (days + 1) * GIB, "fetched_bytes": GIB // 2}
        ProxyDay.objects.create(project=made, day=day, **counts, **size)
    UpstreamState.objects.update_or_create(
        remote_id=registry,
        defaults={
            "rate_limit": 100,
            "rate_remaining": 76,
            "rate_window": 21600,
            "rate_at": today,
            "error": HOSTILE,
            "failed_at": today,
        },
    )
    return made.name


def _garbage(actor: Actor) -> int:
    """A run that only says what it would collect."""
    parameters = garbage.parameters_of({"dry_run": True})
    run = create_execution(garbage.KIND, actor=actor, parameters=parameters, is_exclusive=False)
    return run.pk
