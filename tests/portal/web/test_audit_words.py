"""The audit's words: every action that the code records has some."""

import re

from django.conf import settings

from portal.web.audit_words import ACTIONS, details
from registry_sync.models import TrashEntry

# What an action may begin with; what follows is the kind of thing.
_VERBS = (
    "confirm|copy|create|delete|import|login|pause|purge|refresh|rename|restore|resume|start|stop"
    "|update|use"
)
_CALL = re.compile(
    r"""(?:audit\.record(?:ed|_refusal)?|_record(?:_labeling)?|_audit|_save)\((?:[^()]|\([^()]*\))*?"""
    rf""""((?:{_VERBS})_[a-z_]+)\"""",
    re.DOTALL,
)


def test_every_action_has_words() -> None:
    found = {}
    for name in ("accounts", "registry_sync", "portal"):
        for path in (settings.BASE_DIR / name).rglob("*.py"):
            for action in _CALL.findall(path.read_text()):
                found[action] = path.name
    assert len(found) > 30
    # Made of two parts there.
    found |= {
        f"{verb}_{kind}": "trash" for verb in ("purge", "restore") for kind in TrashEntry.Kind
    }
    missing = {action: file for action, file in found.items() if action not in ACTIONS}
    assert missing == {}, "add words to portal/web/audit_words.py"


def test_details_are_words_and_readable_values() -> None:
    shown = details({"is_public": True, "role": "Developer", "tags": ["1.0", "2.0"], "x-y": None})
    assert shown == [
        ("Public", "yes"),
        ("Role", "Developer"),
        ("Tags", "1.0, 2.0"),
        ("x-y", "–"),
    ]
