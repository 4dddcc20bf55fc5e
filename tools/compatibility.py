"""Writes docs/harbor-compatibility.md: which of Harbor's operations exist, and what differs.

``python -m tools.compatibility`` after an endpoint was added; a test fails while it is stale.
``docs/harbor-operations.txt`` lists the contract: group, method, path, operation.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
OUTPUT = DOCS / "harbor-compatibility.md"
_HEAD = """\
# Compatibility with Harbor's API

Moorage speaks the Harbor API v2.0 (contract of version 2.16) below `/api/v2.0`: the same paths,
bodies, status codes and headers. An operation that is not here yet answers 404 in the form of any
other error. What Moorage adds is in the API's own description, `/api/v2.0/openapi.json`.

This file is written by `python -m tools.compatibility`; change that, not this.
"""
# Subject, what is different, why.
DIFFERENCES = (
    (
        "Copy of an artifact",
        "`POST …/artifacts?from=` by tag gives the copy that tag, by digest all the tags of its "
        "source; again it answers 201.",
        "A copy that broke off can be done again; a tag that nobody named does not move.",
    ),
    (
        "Type of an accessory",
        "`sbom.harbor` stands for every bill of materials, `signature.cosign` for sigstore's "
        "bundles too, `subject.accessory` for the rest.",
        "The contract has no other words, and clients look for these.",
    ),
    (
        "Replication",
        "A policy runs once at a time, so that `single_active_replication` is always true, and a "
        "start meanwhile answers 409. `event_based` and `replicate_deletion` are refused with 400 "
        "until they are there, as are filters by label and resource of what comes from elsewhere.",
        "A second run of the same policy does the work of the first once more.",
    ),
    (
        "Password of a registry",
        "It is shown as `*****` and must be sent anew when the host changes.",
        "Whoever may change an address must not learn the password of the one before.",
    ),
    (
        "Setting that does nothing",
        "`PUT /configurations` refuses a key that has no effect here with 400, unless it is null; "
        "`GET` leaves it out. So are `skip_audit_log_database`, `disabled_audit_log_event_types`, "
        "`audit_log_forward_endpoint`, `scanner_skip_update_pulltime`, `notification_enable` and "
        "every key of LDAP, OIDC, UAA and the authentication proxy.",
        "To take a setting in silence and do nothing is worse than to refuse it; an audit with "
        "holes proves nothing.",
    ),
    (
        "Setting of the process",
        "`robot_name_prefix`, `token_expiration`, `session_timeout` and `auth_mode` are shown and "
        "not changed here; a `MOORAGE_CONFIG_…` variable locks any other key.",
        "Who deploys decides, and a change of the prefix would lock every robot out at once.",
    ),
    (
        "Name of a robot",
        "`robot+project+name`; with `MOORAGE_ROBOT_PREFIX=robot$` as in Harbor.",
        "A dollar has to be quoted in every shell and pipeline.",
    ),
    (
        "Secret of a robot",
        "`PATCH /robots/{robot_id}` takes `overlap_hours` besides: the old secret works so long. "
        "A chosen secret follows the password rules (12 to 1024 characters, no composition).",
        "A secret can be replaced without a broken pipeline.",
    ),
    (
        "Rights of a robot",
        "Never wider than its maker's, for people too; one made by a robot keeps to its maker's "
        "networks, tag patterns and end. `effect` is only `allow`. A star is written out.",
        "Nobody widens themselves by a robot, and an action added later is nobody's by surprise.",
    ),
    (
        "Update of a robot",
        "`PUT /robots/{robot_id}` leaves `allowed_networks` and `push_tag_patterns` as they are "
        "where they are missing; every token made before stops working.",
        "A client that does not know them must not take a limit away.",
    ),
    (
        "Robot of the system with `project:list`",
        "It lists public projects and those in which it has a right.",
        "To know a project's name is a right in that project.",
    ),
    (
        "Audit of the whole system",
        "`GET /audit-logs` and `GET /auditlog-exts` are for administrators, auditors, and robots "
        "with `audit-log:list`; others read the log of their projects.",
        "Entries hold addresses and names of people.",
    ),
    (
        "Filter and sorting",
        "`q` and `sort` know the fields that each operation names and refuse others with 400; "
        "so does `q` with a range of texts or a part of a number.",
        "A filter over any column gave away password hashes (CVE-2025-30086).",
    ),
    (
        "Immutable rule",
        "One selector of tags and one of repositories. It holds deletions of repositories and "
        "projects too, and signatures and other accessories of a held image; `PUT` leaves what is "
        "missing as it is. `POST …/immutabletagrules/preview` counts what a rule would hold.",
        "What people rely on must not go by another door.",
    ),
    (
        "Tag history",
        "Besides the contract: `GET …/repositories/{repository}/tag-history` and "
        "`POST …/tag-history/{id}/restore`.",
        "People ask who moved a tag, and want it back.",
    ),
    (
        "Metadata of a project",
        "Each key exists with its default: `POST` sets one that still has it and answers 409 for "
        "another, `DELETE` puts the default back. `read_only` and `trash_days` are ours.",
        "A key is a setting with a default, not a row that may be missing.",
    ),
    (
        "CLI secret",
        "`PUT /users/{user_id}/cli_secret` takes no secret and answers a new personal token.",
        "Tokens are random and can be told from other secrets; Harbor's is for OIDC only.",
    ),
    (
        "Groups",
        "A group as member is refused with 400.",
        "There are none until sign-in by LDAP and OIDC.",
    ),
    (
        "Total of a long list",
        "`X-Total-Count` is exact up to 10 000; beyond that it is what is known to be there, at "
        "least one more than this page's end where a next page exists. `Link` leads to the end.",
        "To count a million rows costs more than to show ten of them.",
    ),
    (
        "Number of a quota",
        "It is its project's number.",
        "A project has one quota; two numbers for one thing are one too many.",
    ),
    (
        "Quota",
        "It counts what a live artifact needs; uploads that became nothing do not count, and what "
        "is deleted is free at once.",
        "The figure is exact under parallel pushes and needs no garbage collection.",
    ),
    (
        "Deleting",
        "Repositories, artifacts, tags and projects go to the trash, from which they can be "
        "restored "
        "for as many days as the project says (`trash_days`).",
        "People delete the wrong thing.",
    ),
    (
        "Retention: tags that no rule speaks of",
        "They stay. With `harbor_reading: true` in the policy they go, as in Harbor: what no rule "
        "keeps in a repository that a rule covers.",
        "A pattern with a typing error must not empty a repository.",
    ),
    (
        "Retention: what always stays",
        "Immutable and pinned tags, digests that a cluster reported in use (`POST /in-use`), "
        "what an "
        "index needs (one in the trash too), what belongs to an image that is here.",
        "Images that run, and parts of images, were lost to rules.",
    ),
    (
        "Retention: pulls",
        "Those of scanners and replication do not count.",
        "A nightly scan would keep everything for ever.",
    ),
    (
        "Retention: the brake",
        "A run that would remove more than half of a project's images, or all of a repository's, "
        "ends as `Error` before it removes anything, until its preview is confirmed "
        "(`POST /projects/{project}/retention/confirmation`).",
        "What is that large is more often a mistake than a wish.",
    ),
    (
        "Retention: a new or changed policy",
        "Its scheduled runs are dry until a preview is confirmed; a run ordered by hand is not.",
        "The first look at what a rule does should not be the damage.",
    ),
    (
        "Retention: rules",
        "Equal times are told apart by the artifact's number; `latestPatchesN` keeps the last "
        "patches "
        "of each minor version; a rule that repeats or contradicts another, or excludes "
        "everything, "
        "is refused with 400.",
        "The same rules must give the same answer every time.",
    ),
    (
        "Retention: runs",
        "One task is one repository of a run; `job_id` is the run's number. A run can be "
        "taken back: "
        "`POST /projects/{project}/executions/{id}/undo`.",
        "Removals are decided for the whole project before the first is made.",
    ),
    (
        "Search",
        "At most 100 of each kind; `tag` and `artifact` besides, by name and by digest.",
        "An answer has an end.",
    ),
    (
        "System information",
        "`harbor_version` is `v2.16.0-moorage-…`: the contract's version, then ours.",
        "Clients compare it before they use what is newer.",
    ),
    (
        "Hidden and missing",
        "What a caller may not know of answers as what does not exist: 404, and 401 for strangers.",
        "Names of projects are nobody's business.",
    ),
    (
        "Password",
        "12 to 1024 characters, no composition rules; no default password.",
        "NIST SP 800-63B; CVE-2026-4404.",
    ),
    (
        "Peer-to-peer preheating",
        "Not planned.",
        "It belongs to a distribution system beside the registry.",
    ),
)


@dataclass(frozen=True, slots=True)
class ContractOperation:
    """One line of the contract."""

    group: str
    method: str
    path: str
    name: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is compared by: parameters have no names, a slash at the end is nothing."""
        return self.method, re.sub(r"\{[^}]*\}", "{}", self.path).rstrip("/")


def contract() -> list[ContractOperation]:
    """Read the contract's operations."""
    lines = (DOCS / "harbor-operations.txt").read_text().splitlines()
    return [ContractOperation(*line.split()) for line in lines]


def implemented() -> set[tuple[str, str]]:
    """Read the API's own routes."""
    from portal.api import urls  # noqa: PLC0415 - only once Django is set up

    found = set()
    for pattern in urls.urlpatterns:
        endpoint = getattr(pattern.callback, "view_class", None)
        route = str(pattern.pattern).removeprefix("v2.0")
        for method in getattr(endpoint, "permissions", ()):
            found.add((method, re.sub(r"<[^>]*>", "{}", route).rstrip("/")))
    return found


def render() -> str:
    """Return the document."""
    here = implemented()
    operations = contract()
    count = sum(operation.key in here for operation in operations)
    return "\n".join(
        [
            _HEAD,
            f"{count} of {len(operations)} operations exist.",
            "",
            "## What differs, and why",
            "",
            "| | Here | Because |",
            "|---|---|---|",
            *(f"| **{subject}** | {what} | {why} |" for subject, what, why in DIFFERENCES),
            "",
            "## Operations",
            *_tables(operations, here),
            "",
        ]
    )


def _tables(operations: list[ContractOperation], here: set[tuple[str, str]]) -> Iterator[str]:
    for group, members in groupby(operations, key=lambda operation: operation.group):
        yield f"\n### {group}\n"
        yield "| | Operation | |"
        yield "|---|---|---|"
        for operation in members:
            mark = "yes" if operation.key in here else "no"
            yield f"| {mark} | `{operation.method} {operation.path}` | {operation.name} |"


def main() -> None:
    """Write the document."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import django  # noqa: PLC0415 - the settings had to be named first

    django.setup()
    OUTPUT.write_text(render())
    print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main()
