"""P2: manifest GET and HEAD, by tag and by digest, against the bare registry."""

from functools import partial

from bench.harness import HEAD, Side, ab, alternate, bare_registry, emit, moorage, row, serving, wrk
from bench.images import push

GOALS = {"": "≥ 1.5", "400": "≥ 1.0"}


def main() -> None:
    """Measure against the registry as it comes, and with a lazier garbage collector."""
    lines = [HEAD]
    for gogc, goal in GOALS.items():
        with moorage() as stack, bare_registry(gogc=gogc) as registry:
            token = stack.token("repository:library/bench:pull,push")
            image = push(stack.url, "library/bench", token=token)
            push(registry.url, "library/bench")
            name = f"registry, GOGC={gogc}" if gogc else "registry"
            for reference in ("latest", image.digest):
                for method in ("GET", "HEAD"):
                    path = f"/v2/library/bench/manifests/{reference}"
                    ask = wrk if method == "GET" else ab
                    ours = Side(
                        "Moorage",
                        partial(ask, stack.url + path, partial(serving, stack), token=token),
                    )
                    theirs = Side(name, partial(ask, registry.url + path, registry.pids))
                    alternate(ours, theirs)
                    by = "tag" if reference == "latest" else "digest"
                    lines.append(row(f"manifest {method} by {by}", ours, theirs, goal))
    emit("P2", "P2: manifests", lines)


if __name__ == "__main__":
    main()
