"""P1: token issue for a robot and for a person, against the registry's authenticated ping."""

from base64 import b64encode
from functools import partial

from bench.harness import HEAD, Side, alternate, emit, moorage, row, serving, wrk
from tests.live.client import registry_port, run_in
from tests.live.stack import Stack

QUERY = "/service/token?service=moorage&scope=repository:library/bench:pull"


def main() -> None:
    """Measure a robot's secret and a person's remembered password."""
    lines = [HEAD]
    with moorage() as stack:
        ping = partial(
            wrk,
            f"http://127.0.0.1:{registry_port(stack)}/v2/",
            lambda: [stack.pid("registry")],
            token=stack.token(""),
        )
        robot = _robot(stack)
        for what, credentials in (
            ("token for a robot", robot),
            ("token for a person, password remembered", f"admin:{stack.admin_password}"),
        ):
            basic = b64encode(credentials.encode()).decode()
            ours = Side(
                "Moorage", partial(wrk, stack.url + QUERY, partial(serving, stack), basic=basic)
            )
            theirs = Side("registry's ping with a token", ping)
            alternate(ours, theirs)
            lines.append(row(what, ours, theirs, "CPU ≤ 1.0 × the ping's; p99 ≤ 50 ms"))
    emit("P1", "P1: tokens", lines)


_MAKE_ROBOT = """
from accounts import robots
from accounts.models import Project
from accounts.principals import SYSTEM_ACTOR
library = Project.objects.get(name="library")
terms = robots.Terms(permissions=(robots.Permission("repository:pull", library),))
robot, secret = robots.create(name="bench", project=library, terms=terms, actor=SYSTEM_ACTOR)
print(f"{robots.login_name(robot)}:{secret}")
"""


def _robot(stack: Stack) -> str:
    return run_in(stack, _MAKE_ROBOT)


if __name__ == "__main__":
    main()
