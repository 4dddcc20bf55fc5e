"""Finds files that look like secrets: by name, and by what the first bytes say.

A short list of forms that are certain beats a long one of guesses: a warning that is wrong half
the time is read by nobody.
"""

import re
from collections.abc import Sequence

# So much of a file is looked at.
HEAD = 16 * 1024

_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_TOKENS = re.compile(
    rb"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20}"
    rb"|xox[baprs]-[A-Za-z0-9-]{20,}|mrg_[a-z]+_[A-Za-z0-9]{20,})\b"
)
_REGISTRY_LOGIN = re.compile(rb'"auth"\s*:\s*"[A-Za-z0-9+/=]{8,}"')
_NPM_TOKEN = re.compile(rb"_authToken\s*=\s*[A-Za-z0-9_-]{10,}")
_NETRC = re.compile(rb"\bpassword\s+\S+")
_AWS = re.compile(rb"aws_secret_access_key\s*=\s*\S{20,}")
_GIT = re.compile(rb"https?://[^/\s:@]+:[^/\s@]+@")
_PYPI = re.compile(rb"^\s*password\s*[:=]\s*\S+", re.MULTILINE)
# What package managers and test suites ship: keys that everybody has are no secret.
_PUBLIC = re.compile(r"(?:^|/)(?:tests?|testdata|test_data|examples?|doc|docs|snakeoil)(?:/|$)")

_BY_NAME: Sequence[tuple[re.Pattern[str], re.Pattern[bytes], str]] = (
    (re.compile(r"(?:^|/)\.docker/config\.json$|(?:^|/)\.dockercfg$"), _REGISTRY_LOGIN, "login"),
    (re.compile(r"(?:^|/)\.npmrc$"), _NPM_TOKEN, "token"),
    (re.compile(r"(?:^|/)[._]netrc$"), _NETRC, "password"),
    (re.compile(r"(?:^|/)\.aws/credentials$"), _AWS, "access key"),
    (re.compile(r"(?:^|/)\.git-credentials$"), _GIT, "password"),
    (re.compile(r"(?:^|/)\.pypirc$"), _PYPI, "password"),
)


def kind_of(path: str, head: bytes) -> str:
    """Return what secret a file seems to hold, or nothing; ``head`` is its first 16 KiB."""
    for name, content, kind in _BY_NAME:
        if name.search(path) and content.search(head):
            return kind
    if _PUBLIC.search(path):
        return ""
    if _PRIVATE_KEY.search(head) and head.lstrip()[:5] == b"-----":
        return "private key"
    if len(head) < HEAD and _TOKENS.search(head):
        return "access token"
    return ""
