"""Everything that outsiders may write and a page shows, as if they meant harm.

Runs inside a stack, for ``page_scene``. What a push or another registry writes is put straight into
the rows: which of it the doors let in is not asked here, only that pages show it as text.
"""

import secrets

from django.utils import timezone

from accounts import audit, personal_tokens, sessions
from accounts.models import Project, User
from accounts.principals import Actor
from registry_sync.models import Artifact, Execution, ReportLine, State, Task

# In every text that people choose: it must stay a text. Three ways out of an element, an
# attribute, a script; a template's expression; an address that is a script.
HOSTILE = (
    "\"'><img src=x onerror=\"document.title='taken over'\"><script>alert(1)</script>{{ 7 }}"
    "<a href=javascript:alert(2)>x</a>"
)
_LINK = "javascript:alert(document.domain)//"


def push(image: Artifact) -> None:
    """Write them into an image's annotations and configuration."""
    links = {
        f"org.opencontainers.image.{name}": _LINK
        for name in ("url", "source", "documentation", "vendor", "licenses")
    }
    image.annotations = {**links, HOSTILE: HOSTILE, "org.opencontainers.image.title": HOSTILE}
    image.author = HOSTILE
    config = dict.fromkeys(("User", "WorkingDir", "StopSignal"), HOSTILE) | {
        "Env": [f"PATH={HOSTILE}", HOSTILE],
        "Cmd": [HOSTILE],
        "Entrypoint": [HOSTILE],
        "Labels": {HOSTILE: HOSTILE, "org.opencontainers.image.source": _LINK},
        "ExposedPorts": {HOSTILE: {}},
        "Volumes": {HOSTILE: {}},
    }
    history = [
        {**one, "created_by": HOSTILE, "comment": HOSTILE, "author": HOSTILE}
        for one in image.config.get("history", [])
    ]
    image.config = image.config | {"author": HOSTILE, "config": config, "history": history}
    image.save(update_fields=["annotations", "author", "config"])


def live(project: Project, admin: User, actor: Actor) -> None:
    """Write them into the audit, into a token's name and into what a browser calls itself."""
    audit.record(actor, "update_project", HOSTILE, project=project, detail={HOSTILE: HOSTILE})
    audit.record_refusal(actor, HOSTILE[:60], HOSTILE, reason=HOSTILE)
    name = HOSTILE[:100]
    personal_tokens.create(admin, name=name, scopes=["api:read"], actor=actor)
    browser = Actor(actor.principal, HOSTILE[:60], client=HOSTILE)
    sessions.start(admin, session_key=secrets.token_hex(16), actor=browser)


def fail(run: Execution) -> None:
    """Write them into what a run could not do, as another registry may word it."""
    now = timezone.now()
    Task.objects.create(
        execution=run,
        kind=run.kind,
        subject=HOSTILE,
        state=State.FAILED,
        message=HOSTILE,
        run_after=now,
        created_at=now,
        finished_at=now,
        result={"error": HOSTILE, HOSTILE: HOSTILE},
    )
    ReportLine.objects.create(
        execution=run,
        outcome=ReportLine.Outcome.values[-1],
        subject_kind="tag",
        subject=HOSTILE,
        reason=HOSTILE,
    )
