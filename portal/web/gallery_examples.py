"""Examples for the gallery: the things that building blocks show, made up and in no table.

Each state is a page of its own, for a block with a heading can stand on a page once: ``usual``,
``empty`` where there is nothing yet, ``long`` with long texts, Chinese ones among them.
"""

import datetime
from types import SimpleNamespace as Thing

from django.contrib.messages import ERROR, SUCCESS
from django.contrib.messages.storage.base import Message
from django.urls import reverse
from django.utils import timezone

from portal.web.charts import Part, pull_columns, push_columns, spark, treemap
from portal.web.image_config import Step
from registry_sync.layers.entries import Entry
from registry_sync.models import Artifact, ArtifactBlob, Label
from registry_sync.push_days import PushesOfDay
from registry_sync.statistics import Day

STATES = ("usual", "empty", "long")
DIGEST = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
_LONG = "a-name-that-somebody-made-up-with-a-great-many-words-and-no-thought-of-who-reads-it"
_CHINESE = "這一段文字很長，用來檢查版面是否容得下：映象、標籤、倉庫與層都可能有這樣的說明。"
_DAYS = 30


def examples(state: str) -> dict[str, object]:
    """Return what the blocks read from a page's context, in one of the states."""
    is_empty, is_long = state == "empty", state == "long"
    name = _LONG if is_long else "payments"
    words = _CHINESE if is_long else "Answers payments"
    project = Thing(name=name, is_public=not is_empty, is_proxy=is_long)
    repository = Thing(name=f"{name}/api", path=_LONG if is_long else "api", project=project)
    return {
        "project": project,
        "repository": repository,
        "summary": "" if is_empty else words,
        "repository_tabs": [
            Thing(url="#h-page", words="Tags", is_current=True, count=12, is_partial=is_long),
            Thing(url="#h-page", words=words, is_current=False, count=None, is_partial=False),
        ],
        "tabs": [Thing(url="#h-page", words=words, is_current=n == 0) for n in range(3)],
        "settings_tabs": [Thing(url="#h-page", words=words, is_current=n == 1) for n in range(4)],
        "is_pinned": is_long,
        **_home(project, repository, is_empty=is_empty, name=name, words=words),
        **_image(is_empty=is_empty, name=name, words=words),
        **_layers(is_empty=is_empty, name=name, words=words),
    }


def _home(
    project: Thing, repository: Thing, *, is_empty: bool, name: str, words: str
) -> dict[str, object]:
    now = timezone.now()
    today = now.date()
    few = 0 if is_empty else 1
    days = [today - datetime.timedelta(days=back) for back in reversed(range(_DAYS))]
    parts = [Part(f"{name}-{n}", 2**n * 10**6, "#h-page", words, n == 6) for n in range(9 * few)]
    row = Thing(
        tag=Thing(name="1.4.2", pushed_by_name="robot+ci", pushed_at=now, repository=repository),
        artifact=Thing(digest=DIGEST),
        aliases=["latest", name],
        chips=["amd64", "arm64", "arm/v7", "s390x"],
        pull_size=61_800_000,
    )
    pin = Thing(
        name=repository.name,
        url="#h-page",
        pin_url=reverse("projects:list"),
        tag=row.tag,
        pushed_at=now,
        pulls=spark([n % 7 for n in range(_DAYS)]),
    )
    return {
        "matters": [Thing(tone="warn", url="#h-page", title=name, text=words)] * 2 * few,
        "messages": [
            Message(SUCCESS, words),
            Message(ERROR, words),
        ],
        "pushes": [row] * 3 * few,
        "pinned": [pin] * 2 * few,
        "pulls": pull_columns([Day(day, n * few, n // 3 * few) for n, day in enumerate(days)]),
        "push_days": push_columns(
            [PushesOfDay(day, n * few, n // 2 * few) for n, day in enumerate(days)]
        ),
        "last_pull": Thing(pulled_at=None if is_empty else now, pulled_by=name),
        "tiles": treemap(parts, words),
        "received": 3 * few,
        "commands": Thing(login="docker login", tag=f"docker tag {name}", push="docker push"),
        "pull": Thing(
            login="docker login",
            is_pattern=not is_empty,
            pull=f"docker pull {name}",
            by_mirror="" if is_empty else "docker pull alpine",
        ),
        "tools": ("docker", "podman", "nerdctl"),
        "tool": Thing(name="podman"),
        "people": [
            Thing(pk=1, is_active=True, is_administrator=not is_empty, is_auditor=False),
            Thing(pk=2, is_active=False, is_administrator=False, is_auditor=not is_empty),
        ],
        "slice": Thing(total=120, size=25, previous="" if is_empty else "a", next="b"),
    }


def _image(*, is_empty: bool, name: str, words: str) -> dict[str, object]:
    now = timezone.now()
    few = 0 if is_empty else 1
    artifact = Artifact(
        kind="image",
        body_id=DIGEST,
        os="" if is_empty else "linux",
        architecture="amd64",
        author=words * few,
        artifact_type="" if is_empty else "application/vnd.oci.image.config.v1+json",
        pushed_at=now,
        pushed_by_name="robot+ci",
        size=61_800_000,
        annotations={} if is_empty else {"org.opencontainers.image.title": words, name: name},
    )
    label = Label(pk=1, name=name, description=words, color="#1D5100")
    layer = ArtifactBlob(
        blob_id=DIGEST,
        media_type="application/vnd.oci.image.layer.v1.tar+gzip",
        size=3_600_000,
    )
    steps = [
        Step(2, "RUN", f"apt-get install {name} " + words * 8, now, layer, 60.0),
        Step(None, "CMD", f'["{name}"]', now, None),
        Step(1, "", "", None, layer, 100.0),
    ]
    return {
        "artifact": artifact,
        "subject": None,
        "parents": [],
        "labels": [label] * 3 * few,
        "label_choices": [label],
        "may_label": True,
        "steps": steps * few,
        "sharing": {DIGEST: 3},
        "files": [(words, layer), ("", layer)] * few,
        "accessories": [
            Thing(artifact=artifact, is_signature=n == 0, is_bill=n == 1) for n in range(3 * few)
        ],
        "content": Thing(
            attestations=2 * few,
            platforms=[
                Thing(name=f"linux/{one}", digest=DIGEST, artifact_id=1, size=3_600_000)
                for one in ("amd64", "arm64", name)[: 3 * few]
            ],
        ),
        "layer_counts": {1: 7},
        "by_tag": "" if is_empty else f"docker pull registry.example.com/{name}/api:1.4.2",
        "by_digest": f"docker pull registry.example.com/{name}/api@{DIGEST}",
        "run_command": "" if is_empty else f"docker run --rm {name}",
        "run": Thing(
            starts=f"{name} serve" * few,
            entrypoint=[name] * few,
            command=["serve", words] * few,
            working_directory="/srv" * few,
            user=name * few,
            ports=["8080/tcp", "9090/tcp"] * few,
            volumes=["/data"] * few,
            stop_signal="SIGINT" * few,
            environment=[("PATH", "/usr/bin:/bin"), (name, words)] * few,
            labels=[(name, words)] * few,
        ),
    }


def _layers(*, is_empty: bool, name: str, words: str) -> dict[str, object]:
    few = 0 if is_empty else 1
    entry = Entry(name, "f", 4096, 0o644, 0, 0)
    fates = [
        Thing(layer=n, by=2, fate=fate, entry=entry)
        for n, fate in enumerate(("live", "deleted", "rewritten", "overwritten"))
    ]
    marks = [("add", "+"), ("mod", "~"), ("del", "−"), ("opq", "⊘")]
    lines = [
        Thing(
            row=Thing(name=name, is_directory=n == 0, entry=entry, change="added"),
            mark=mark,
            glyph=glyph,
            indent=n,
            is_open=n == 0,
            is_selected=n == 2,
            url="#h-page",
            size=4096,
            mode="rw-r--r--",
            hue=n + 1,
            number=n + 1,
        )
        for n, (mark, glyph) in enumerate(marks)
    ]
    image = Thing(digest=DIGEST, pushed_at=timezone.now(), tags=Thing(all=[Thing(name=name)]))
    return {
        "tags": [Thing(name="1.4.2")] * few,
        "compare_url": reverse("compare"),
        "lessons": [Thing(hue=n + 1, number=n + 1, text=words) for n in range(2 * few)],
        "explorer": Thing(
            lines=lines * few,
            hidden=12 * few,
            trace=fates * few,
            found=[(Thing(path=f"usr/{name}", step=step), "#h-page") for step in fates * few],
            choice=Thing(mode="changes", file=f"usr/{name}"),
            share={"error": ""},
        ),
        "trend": [(image, Thing(percent=97, wasted_bytes=4096, secret_count=0))] * 3 * few,
    }
