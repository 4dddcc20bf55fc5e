"""The merge beside a file system that is really built up, layer by layer, from random archives."""

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_sync.layers import analysis, tree
from registry_sync.layers.compare import compare_files, compare_layers, compare_packages
from registry_sync.layers.entries import Directory, ancestors
from registry_sync.layers.merge import Fate, live_files, walk
from registry_sync.layers.packages import Package
from tests.registry_sync.layers.archives import directories, member, tar

Files = dict[str, tuple[int, bytes]]
Step = tuple[str, str, bytes]

_names = st.sampled_from(["a", "b", "c"])
_paths = st.lists(_names, min_size=1, max_size=3).map("/".join)
_steps = st.lists(
    st.tuples(
        st.sampled_from(["file", "file", "file", "directory", "delete", "opaque"]),
        _paths,
        st.binary(min_size=1, max_size=3),
    ),
    max_size=6,
    unique_by=lambda step: step[1],
)


def consistent(steps: list[Step]) -> list[Step]:
    """Leave out what no archive of one layer has: a file below a file."""
    files = {path for kind, path, _content in steps if kind == "file"}
    return [step for step in steps if not any(up in files for up in ancestors(step[1])[:-1])]


def layer_of(steps: list[Step]) -> bytes:
    """The archive of a layer."""
    members = []
    for kind, path, content in steps:
        parent, _slash, name = path.rpartition("/")
        prefix = f"{parent}/" if parent else ""
        if kind == "file":
            members.append(member(path, content))
        elif kind == "directory":
            members.append(member(path))
        elif kind == "delete":
            members.append(member(f"{prefix}.wh.{name}", b""))
        else:
            members.append(member(f"{path}/.wh..wh..opq", b""))
    return tar(members)


def remove(seen: Files, path: str, *, self_too: bool) -> None:
    """Take away what is below a path."""
    for each in list(seen):
        if each.startswith(f"{path}/") or (self_too and each == path):
            del seen[each]


def apply(seen: Files, number: int, steps: list[Step]) -> None:
    """Unpack a layer as a runtime does: first what it hides, then what it has."""
    for kind, path, _content in steps:
        if kind == "delete":
            remove(seen, path, self_too=True)
        elif kind == "opaque":
            remove(seen, path, self_too=False)
    for kind, path, content in steps:
        # Every parent of what a layer has, marks included, is a directory of the layer.
        for up in ancestors(path)[1:-1]:
            seen.pop(up, None)
        if kind in ("directory", "opaque"):
            seen.pop(path, None)
        if kind == "file":
            remove(seen, path, self_too=True)
            seen[path] = (number, content)


@settings(max_examples=400, deadline=None)
@given(st.lists(_steps.map(consistent), min_size=1, max_size=4))
def test_the_final_file_system_is_what_unpacking_gives(layers: list[list[Step]]) -> None:
    seen: Files = {}
    snapshots = []
    for number, steps in enumerate(layers):
        apply(seen, number, steps)
        snapshots.append(dict(seen))
    indexes = [directories(layer_of(steps)) for steps in layers]
    for top, wanted in enumerate(snapshots):
        found = {path: version.layer for path, version in live_files(indexes[: top + 1])}
        assert found == {path: number for path, (number, _content) in wanted.items()}
    # What analysis calls live is what is live, and everything is counted once.
    result = analysis.analyse(indexes, [{} for _index in indexes])
    assert result["live"] == sum(len(content) for _number, content in seen.values())
    stored = sum(entry.bytes for index in indexes for each in index for entry in each.entries)
    assert result["total"] == stored
    assert result["wasted"] == sum(share["wasted"] for share in result["layers"])
    assert result["sizes"].get("", 0) == result["live"]
    # The pages' way to one directory gives the same as the whole walk.
    for merged in walk(indexes):
        chain = [
            [each for each in index if each.path in ancestors(merged.path)] for index in indexes
        ]
        assert tree.merged(chain)[merged.path].paths == merged.paths


def fates(*layers: dict[str, bytes | None]) -> dict[str, list[str]]:
    """What became of each layer's copy of each file."""
    archives = [tar(member(name, content) for name, content in files.items()) for files in layers]
    indexes = [directories(data) for data in archives]
    found: dict[str, list[str]] = {}
    for merged in walk(indexes):
        for path in merged.paths:
            for number, version in enumerate(path.versions):
                if version.entry.type == "f":
                    fate = path.fate(number, len(layers) - 1)[0]
                    found.setdefault(path.name, []).append(fate.value)
    return found


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ([{"a": b"1"}, {"a": b"2"}], ["overwritten", "live"]),
        ([{"a": b"1"}, {"a": b"1"}], ["rewritten", "live"]),
        ([{"a": b"1"}, {".wh.a": b""}], ["deleted"]),
        ([{"a": b"1"}, {".wh.a": b""}, {"a": b"1"}], ["deleted", "live"]),
        ([{"a": b"1"}, {".wh.a": b"", "a": b"2"}], ["overwritten", "live"]),
        ([{"d/a": b"1"}, {"d/.wh..wh..opq": b""}], ["deleted"]),
        ([{"d/a": b"1"}, {"d/.wh..wh..opq": b"", "d/a": b"1"}], ["rewritten", "live"]),
        ([{"d/a": b"1"}, {"d": b"now a file"}], ["deleted"]),
        ([{"d/a": b"1"}, {".wh.d": b""}, {"d/b": b"2"}], ["deleted"]),
        ([{"d/a": b"1"}, {"d/.wh..wh.plnk": b""}], ["live"]),
        ([{".wh.a": b"", "a": b"1"}], ["live"]),
    ],
)
def test_fates(layers: list[dict[str, bytes | None]], wanted: list[str]) -> None:
    assert fates(*layers)["a"] == wanted


def test_causes_and_advice() -> None:
    megabyte = b"x" * (2 << 20)
    build = {"app/data": megabyte, "var/lib/apt/lists/packages": megabyte + b"1"}
    chown = tar([member("app/data", megabyte, uid=1000)])
    clean = tar([member("var/lib/apt/lists/.wh.packages", b"")])
    indexes = [
        directories(tar(member(name, content) for name, content in build.items())),
        directories(chown),
        directories(clean),
    ]
    result = analysis.analyse(indexes, [{}, {}, {}])
    assert (result["rewritten"], result["deleted"]) == (2 << 20, (2 << 20) + 1)
    assert result["efficiency"] == (2 << 20) / result["total"]
    assert [(row["code"], row["layer"], row["by"], row["topic"]) for row in result["advice"]] == [
        ("deleted", 0, 2, "apt_lists"),
        ("rewritten", 0, 1, ""),
    ]
    assert result["layers"][2]["removed"] == 1


def test_a_deleted_secret_is_still_there() -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
    indexes = [
        directories(tar([member("root/.ssh/id_ed25519", key)])),
        directories(tar([member("root/.ssh/.wh.id_ed25519", b"")])),
    ]
    result = analysis.analyse(indexes, [{"root/.ssh/id_ed25519": "private key"}, {}])
    assert result["secrets"] == [
        {
            "path": "root/.ssh/id_ed25519",
            "kind": "private key",
            "layer": 0,
            "fate": "deleted",
            "by": 1,
        }
    ]


def rows(layers: list[bytes], path: str, layer: int) -> list[tuple[str, str, int]]:
    """What a layer changed in a directory."""
    chain = [
        [each for each in directories(data) if each.path in ancestors(path)] for data in layers
    ]
    found = tree.changes(tree.merged(chain)[path], layer)
    return [(row.name, row.change, row.delta) for row in found]


def test_changes_of_a_layer() -> None:
    layers = [
        tar([member("d/old", b"123"), member("d/kept", b"1"), member("d/gone", b"12")]),
        tar([member("d/old", b"1"), member("d/new", b"1234"), member("d/.wh.gone", b"")]),
    ]
    assert rows(layers, "d", 1) == [
        ("gone", "removed", -2),
        ("new", "added", 4),
        ("old", "modified", -2),
    ]
    assert rows(layers, "", 1) == [("d", "same", 5)]
    assert rows(layers, "d", 0) == [("gone", "added", 2), ("kept", "added", 1), ("old", "added", 3)]


def test_an_opaque_directory_says_so() -> None:
    layers = [tar([member("d/a", b"1")]), tar([member("d/.wh..wh..opq", b"")])]
    chain = [directories(data) for data in layers]
    found = tree.merged(chain)
    assert [(row.name, row.is_opaque) for row in tree.changes(found[""], 1)] == [("d", True)]
    assert [(row.name, row.change) for row in tree.changes(found["d"], 1)] == [("a", "removed")]


def test_a_directory_is_the_layers_that_made_it() -> None:
    layers = [tar([member("d", mode=0o1777)]), tar([member("d/a", b"1")])]
    found = tree.merged([directories(data) for data in layers])
    row = tree.seen(found[""], 1)[0]
    assert (row.entry.mode, row.layer) == (0o1777, 0)


def test_compare() -> None:
    base = [directories(tar([member("a", b"1"), member("b", b"22"), member("d/c", b"3")]))]
    head = [
        *base,
        directories(tar([member("a", b"11"), member(".wh.b", b""), member("d/new", b"4")])),
    ]
    found = compare_files(base, head)
    assert (found.added, found.modified, found.removed, found.same) == (1, 1, 1, 1)
    assert [(row[1], row[2]) for row in found.rows] == [
        ("a", "modified"),
        ("b", "removed"),
        ("d/new", "added"),
    ]
    assert compare_files(head, head).rows == []
    assert compare_layers(["1", "2", "3"], ["1", "2", "4"]) == 2


def test_compare_packages() -> None:
    base = [Package("deb", "curl", "1"), Package("deb", "gone", "1"), Package("deb", "same", "1")]
    head = [Package("deb", "curl", "2"), Package("deb", "same", "1"), Package("python", "new", "3")]
    assert compare_packages(base, head) == [
        ("deb", "curl", "1", "2"),
        ("deb", "gone", "1", ""),
        ("python", "new", "", "3"),
    ]


def test_every_fate_is_a_share() -> None:
    assert {fate.value for fate in Fate} <= set(analysis.LayerShare.__slots__)


def test_links_are_not_bytes() -> None:
    data = tar([member("a", b"12345"), member("b", type=tarfile.LNKTYPE, linkname="a")])
    result = analysis.analyse([directories(data)], [{}])
    assert (result["live"], result["files"]) == (5, 1)


def test_no_layers() -> None:
    assert analysis.analyse([], [])["efficiency"] == 1.0
    assert next(walk([[Directory("", [])]])).paths == []
