"""`manage.py demo`: fill a running Moorage with small images, so that its pages show something."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import credentials, projects, robots
from accounts.errors import Conflict
from accounts.models import Project, Robot, User
from accounts.principals import Actor
from accounts.roles import ROLE_ACTIONS, Role
from portal.demo import content
from portal.demo.pusher import Pusher, PushError

ROBOT = "ci"


class Command(BaseCommand):
    """Safe to run twice: the images are the same bytes every time."""

    help = "Push small demonstration images into a running Moorage."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--url`` where the public address is not the one of the settings."""
        parser.add_argument("--url", default=settings.MOORAGE_EXTERNAL_URL)

    def handle(self, *, url: str, **_options: object) -> None:
        """Make the project and its robot, and push as the robot."""
        admin = User.objects.filter(is_administrator=True, is_active=True).first()
        if admin is None:
            raise CommandError("moorage: start it first: make run")
        actor = Actor(credentials.principal_of_user(admin))
        project = _project(content.PROJECT, actor)
        library = Project.objects.alive().get(name="library")
        robot, secret = _robot(project, library, actor)
        pusher = Pusher(url, robots.login_name(robot), secret)
        try:
            for entry in content.entries():
                pusher.push(entry.repository, entry.artifact, *entry.tags)
                tags = ", ".join(entry.tags) or entry.artifact.digest[:19]
                print(f"pushed {entry.repository}: {tags}")
        except (PushError, OSError) as error:
            raise CommandError(f"moorage: {error}") from error
        print(f"Look at {url}/p/{content.PROJECT}")


def _project(name: str, actor: Actor) -> Project:
    try:
        return projects.create(name=name, actor=actor)
    except Conflict:
        return Project.objects.alive().get(name=name)


def _robot(project: Project, library: Project, actor: Actor) -> tuple[Robot, str]:
    """The pipeline's robot, with a fresh secret."""
    terms = robots.Terms(
        description="Pushes the demo's images",
        permissions=tuple(
            robots.Permission(action, where)
            for where in (project, library)
            for action in sorted(ROLE_ACTIONS[Role.DEVELOPER])
            if action in {"repository:pull", "repository:push"}
        ),
    )
    kept = Robot.objects.filter(login=f"demo-{ROBOT}", deleted_at=None).first()
    if kept is not None:
        return robots.refresh_secret(kept, actor=actor)
    return robots.create(name=f"demo-{ROBOT}", project=None, terms=terms, actor=actor)
