"""P12: the whole embedded stack, idle: memory, and how soon it answers."""

import time

from bench.harness import emit, moorage, pss_mebibytes

IDLE_SECONDS = 10


def main() -> None:
    """Start it five times; weigh it once it has settled."""
    starts, weights, parts = [], [], {}
    for _round in range(5):
        before = time.perf_counter()
        with moorage() as stack:
            starts.append(time.perf_counter() - before)
            time.sleep(IDLE_SECONDS)
            processes = stack.processes()
            weights.append(pss_mebibytes(list(processes)))
            parts = {pid: (command, pss_mebibytes([pid])) for pid, command in processes.items()}
    lines = [
        "| What | Harbor's stated minimum | Goal | Median | Range |",
        "|---|---|---|---|---|",
        f"| PSS of all processes, idle | 4 GB, 9 containers | ≤ 450 MiB "
        f"| {sorted(weights)[2]:.0f} MiB | {min(weights):.0f} - {max(weights):.0f} MiB |",
        f"| from `up` to answering, first start | | ≤ 8 s "
        f"| {sorted(starts)[2]:.1f} s | {min(starts):.1f} - {max(starts):.1f} s |",
        "",
        "| Process | PSS in MiB |",
        "|---|---|",
        *(
            f"| `{command[:60].strip()}` | {weight:.0f} |"
            for command, weight in sorted(parts.values(), key=lambda part: -part[1])
        ),
    ]
    emit("P12", "P12: footprint", lines)


if __name__ == "__main__":
    main()
