"""An image's configuration, read with distrust: whoever pushed it wrote whatever they liked."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.dateparse import parse_datetime

from registry_sync.models import ArtifactBlob

# What an instruction may begin with, so that an odd history is not taken for one.
_KEYWORDS = frozenset(
    {"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"}
    | {"MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"}
)
_NOT_AN_ARGUMENT = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_BUILD_ARGUMENTS = re.compile(r"^(?:RUN )?\|\d+ .*?/bin/sh -c ", re.DOTALL)
_SHELL = re.compile(r"^(?:RUN )?/bin/sh -c ")
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh", "busybox"})
# Characters of an instruction that two lines hold even on a phone.
_TWO_LINES = 72
# Builders that want the same bytes twice write the beginning of time.
_FIRST_BELIEVABLE_YEAR = 1990


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How a container of the image starts."""

    entrypoint: list[str]
    command: list[str]
    environment: list[tuple[str, str]]
    ports: list[str]
    volumes: list[str]
    user: str
    working_directory: str
    stop_signal: str
    labels: list[tuple[str, str]]

    @property
    def starts(self) -> str:
        """The process a container runs, as one line."""
        return shlex.join([*self.entrypoint, *self.command])

    @property
    def is_interactive(self) -> bool:
        """True where a container without a terminal would end at once."""
        words = [*self.entrypoint, *self.command]
        return len(words) == 1 and words[0].rsplit("/", 1)[-1] in _SHELLS and not self.ports

    def docker_run(self, reference: str) -> str:
        """Return the ``docker run`` line that the configuration implies."""
        words = ["docker", "run", "--rm"]
        if self.is_interactive:
            words.append("-it")
        for port in self.ports:
            number, _, protocol = port.partition("/")
            suffix = f"/{protocol}" if protocol not in {"", "tcp"} else ""
            words += ["-p", f"{number}:{number}{suffix}"]
        for volume in self.volumes:
            name = re.sub(r"[^a-z0-9]+", "-", volume.lower()).strip("-") or "data"
            words += ["-v", f"{name}:{volume}"]
        return shlex.join([*words, reference])


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the build, with the layer it made if it made one."""

    number: int | None
    keyword: str
    text: str
    created: datetime | None
    layer: ArtifactBlob | None
    # The layer's part of the largest one, in per cent, for its bar.
    percent: float = 0.0

    @property
    def is_long(self) -> bool:
        """Whether it may not fit into the two lines it gets at first."""
        return len(self.text) > _TWO_LINES or "\n" in self.text

    @property
    def hue(self) -> int:
        """Which of eight colours its number has."""
        return ((self.number or 1) - 1) % 8 + 1


def run_config(config: object) -> RunConfig:
    """Read the part that says how a container starts."""
    run = _mapping(_mapping(config).get("config"))
    return RunConfig(
        entrypoint=_words(run.get("Entrypoint")),
        command=_words(run.get("Cmd")),
        environment=[_pair(line) for line in _strings(run.get("Env"))],
        ports=[str(port) for port in _mapping(run.get("ExposedPorts"))],
        volumes=[str(volume) for volume in _mapping(run.get("Volumes"))],
        user=_string(run.get("User")),
        working_directory=_string(run.get("WorkingDir")),
        stop_signal=_string(run.get("StopSignal")),
        labels=[(str(k), str(v)) for k, v in sorted(_mapping(run.get("Labels")).items())],
    )


def steps(config: object, layers: Sequence[ArtifactBlob]) -> list[Step]:
    """Match the build's history with the layers it made, from the bottom to the top.

    A history that names fewer or more layers than there are is common (builders leave it out);
    the layers are the truth.
    """
    largest = max((layer.size for layer in layers), default=0) or 1
    rest = list(layers)
    found: list[Step] = []

    def add(keyword: str, text: str, created: datetime | None, *, has_layer: bool) -> None:
        layer = rest.pop(0) if has_layer and rest else None
        number = len(layers) - len(rest) if layer else None
        percent = round(100 * layer.size / largest, 1) if layer else 0.0
        found.append(Step(number, keyword, text, created, layer, percent))

    for entry in _entries(_mapping(config).get("history")):
        keyword, text = instruction(
            _string(entry.get("created_by")) or _string(entry.get("comment"))
        )
        is_empty = entry.get("empty_layer") is True
        add(keyword, text, believable(entry.get("created")), has_layer=not is_empty)
    while rest:
        add("", "", None, has_layer=True)
    return found


def instruction(created_by: str) -> tuple[str, str]:
    """Return keyword and arguments of what a builder wrote down.

    >>> instruction("/bin/sh -c #(nop)  CMD [\\"bash\\"]")
    ('CMD', '["bash"]')
    >>> instruction("RUN /bin/sh -c apk add curl # buildkit")
    ('RUN', 'apk add curl')
    """
    text = created_by.strip().removesuffix("# buildkit").strip()
    if _NOT_AN_ARGUMENT.match(text):
        text = _NOT_AN_ARGUMENT.sub("", text)
    elif _BUILD_ARGUMENTS.match(text):
        text = "RUN " + _BUILD_ARGUMENTS.sub("", text)
    elif _SHELL.match(text):
        text = "RUN " + _SHELL.sub("", text)
    keyword, _, arguments = text.partition(" ")
    if keyword in _KEYWORDS:
        return keyword, arguments.strip()
    return "", text


def believable(value: object) -> datetime | None:
    """Return a build time, unless it is missing or made up for reproducibility."""
    if isinstance(value, str):
        try:
            value = parse_datetime(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.year < _FIRST_BELIEVABLE_YEAR:
        return None
    return value


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _entries(value: object) -> Iterable[dict[str, object]]:
    return (_mapping(entry) for entry in value) if isinstance(value, list) else ()


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _words(value: object) -> list[str]:
    """Entrypoint and Cmd are lists; very old images have one string."""
    return [value] if isinstance(value, str) and value else _strings(value)


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value
