"""Says in words what an image's analysis advises, with the line of the Dockerfile to change."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal.templatetags.portal import size

# What to write instead, by topic.
_FIXES = {
    "apt_lists": "rm -rf /var/lib/apt/lists/*",
    "apt_archives": "apt-get clean",
    "apk_cache": "apk add --no-cache",
    "yum_cache": "dnf clean all",
    "pip_cache": "pip install --no-cache-dir",
    "npm_cache": "npm ci && npm cache clean --force",
    "go_cache": "RUN --mount=type=cache,target=/root/.cache/go-build",
    "temporary": "rm -rf /tmp/*",
    "git": ".dockerignore: .git",
    "compiler": "FROM … AS build",
}
_TOPICS = {
    "apt_lists": gettext_lazy("package lists of apt"),
    "apt_archives": gettext_lazy("packages that apt downloaded"),
    "apk_cache": gettext_lazy("the cache of apk"),
    "yum_cache": gettext_lazy("the cache of dnf or yum"),
    "pip_cache": gettext_lazy("the cache of pip"),
    "npm_cache": gettext_lazy("the cache of npm or yarn"),
    "go_cache": gettext_lazy("the build cache of Go"),
    "temporary": gettext_lazy("temporary files"),
    "git": gettext_lazy("the history of git"),
    "compiler": gettext_lazy("compilers and headers"),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to change."""

    tone: str
    title: str
    text: str
    fix: str
    layer: int
    by: int
    path: str = ""

    @property
    def number(self) -> int:
        """The layer that it is about, as people count."""
        return self.layer + 1


def advice_of(result: dict[str, Any]) -> Iterator[Advice]:
    """Yield secrets first, then what wastes the most bytes."""
    for secret in result.get("secrets", []):
        yield _secret(secret)
    for found in result.get("advice", []):
        yield _found(found)


def _secret(secret: dict[str, Any]) -> Advice:
    layer, by = secret["layer"], secret["by"]
    facts = {"path": secret["path"], "layer": layer + 1, "by": by + 1}
    if secret["fate"] == "live":
        title = _("A secret is in the image")
        text = _(
            "%(path)s was added in layer %(layer)s. Everybody who can pull the image can read it. "
            "Revoke it, and hand it to the build as a secret."
        )
    else:
        title = _("Deleted, but still downloadable")
        text = _(
            "%(path)s was added in layer %(layer)s and hidden in layer %(by)s. Everybody who can "
            "pull the image can read it from layer %(layer)s. Revoke it, and hand it to the build "
            "as a secret."
        )
    fix = "RUN --mount=type=secret,id=…"
    return Advice("danger", title, text % facts, fix, layer, by, secret["path"])


def _found(found: dict[str, Any]) -> Advice:
    code, layer, by, topic = (found[key] for key in ("code", "layer", "by", "topic"))
    facts = {
        "bytes": size(found["bytes"]),
        "layer": layer + 1,
        "by": by + 1,
        "path": found["path"],
        "what": _TOPICS.get(topic, found["path"]),
    }
    title, text, fix = _words(code, topic)
    return Advice("warn", title % facts, text % facts, fix, layer, by, found["path"])


def _words(code: str, topic: str) -> tuple[str, str, str]:
    fix = _FIXES.get(topic, "")
    if code == "rewritten":
        return (
            _("%(bytes)s are stored twice, with the same content"),
            _(
                "Layer %(by)s repeats files of layer %(layer)s to change their owner or mode, the "
                "largest is %(path)s. Set them when the files are copied."
            ),
            "COPY --chown=… --chmod=…",
        )
    if code == "deleted":
        return (
            _("%(bytes)s are deleted later and stay in layer %(layer)s"),
            _(
                "Layer %(by)s only hides %(what)s; each pull still downloads them. Delete them in "
                "the instruction that made them."
            ),
            fix or "RUN … && rm -rf …",
        )
    if code == "overwritten":
        return (
            _("%(bytes)s of layer %(layer)s are written over"),
            _(
                "Layer %(by)s replaces files of layer %(layer)s, the largest is %(path)s. Both are "
                "downloaded. Write them once, or leave them out below."
            ),
            fix,
        )
    return (
        _("%(bytes)s that no container needs"),
        _("Layer %(layer)s holds %(what)s. Leave them out, or build in a stage of their own."),
        fix,
    )
