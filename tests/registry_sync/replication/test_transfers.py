"""Blobs in threads, which are kept, and end with the first error."""

import threading
from typing import cast

import pytest

from registry_sync.replication.transfers import EndedError, Meter, each
from registry_sync.runs import Run


class _Run:
    def progress(self, *, done: int) -> None:
        pass


_RUN = cast(Run, _Run())


def test_threads_are_kept_from_one_image_to_the_next() -> None:
    seen: list[set[int]] = []
    for _image in range(2):
        here: set[int] = set()
        barrier = threading.Barrier(4)

        def work(_digest: str, barrier: threading.Barrier = barrier, here: set[int] = here) -> None:
            barrier.wait(10)
            here.add(threading.get_ident())

        each(work, list("abcd"), meter=Meter(0), run=_RUN)
        seen.append(here)
    assert len(seen[0]) == 4
    assert seen[0] == seen[1]


def test_nothing_goes_on_after_the_first_error() -> None:
    meter, begun, ended = Meter(0), set[str](), set[str]()
    two = threading.Barrier(2)

    def work(digest: str) -> None:
        begun.add(digest)
        two.wait(10)
        if digest == "a":
            raise ValueError(digest)
        try:
            meter.pause(10)
        except EndedError:
            ended.add(digest)
            raise

    with pytest.raises(ValueError, match="a"):
        each(work, ["a", "b"], meter=meter, run=_RUN)
    assert begun == {"a", "b"}
    assert ended == {"b"}
