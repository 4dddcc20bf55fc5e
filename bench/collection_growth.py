"""How collection grows: 1 000, 10 000, 100 000 images, the garbage the same or in proportion.

``python -m bench.collection_growth [--scale 1.0]``. Files lie there of the garbage alone, for that
is all that collection looks at. A collection has run before the purges. Writes a table, and a chart
to docs/collection-growth.svg where ``--chart`` is given.
"""

import argparse
import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.catalogue import database
from bench.harness import emit
from bench.p06_collection import collect
from bench.store import PER_REPOSITORY, Image, write_files, write_rows

SIZES = (1_000, 10_000, 100_000)
CHART = Path(__file__).resolve().parent.parent / "docs" / "collection-growth.svg"


@dataclass(frozen=True, slots=True)
class Point:
    """What one store took; seconds."""

    images: int
    garbage: int
    plan: float
    whole: float


def main() -> None:
    """Measure both ways of growing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--chart", action="store_true")
    given = parser.parse_args()
    sizes = [max(PER_REPOSITORY, int(size * given.scale)) for size in SIZES]
    few = sizes[0] // PER_REPOSITORY
    fixed = [_measured(size, few) for size in sizes]
    grown = [fixed[0], *(_measured(size, size // PER_REPOSITORY) for size in sizes[1:])]
    lines = [
        "| Garbage | Images | Digests removed | Plan, s | Whole run, s |",
        "|---|---|---|---|---|",
    ]
    for what, points in (("the same", fixed), ("in proportion", grown)):
        lines += [
            f"| {what} | {p.images} | {p.garbage} | {p.plan:.2f} | {p.whole:.2f} |" for p in points
        ]
    emit("growth", "P6: growth", lines)
    if given.chart:
        CHART.write_text(_chart({"the same garbage": fixed, "garbage in proportion": grown}))


def _measured(count: int, garbage: int) -> Point:
    """Make a store of so many images, so many of them garbage; plan and collect."""
    images = [Image(number) for number in range(count)]
    folder = Path(tempfile.mkdtemp(prefix="moorage-growth-"))
    try:
        write_files(folder, images, only_garbage=True, garbage=garbage)
        with database():
            write_rows(images, is_settled=True, garbage=garbage)
            planned, _found = collect(folder, dry_run=True)
            took, result = collect(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Point(count, result["digests"], planned, took)


def _chart(lines: dict[str, list[Point]]) -> str:
    """Draw seconds of a whole run over images, both by powers of ten: straight is in proportion."""
    width, height, left, top, bottom = 640, 400, 60, 46, 60
    points = [point for line in lines.values() for point in line]
    sizes = sorted({point.images for point in points})
    low = math.floor(math.log10(min(point.whole for point in points)))
    high = math.ceil(math.log10(max(point.whole for point in points)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" role="img" '
        'aria-label="Seconds of a collection over images">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]

    def across(images: int) -> float:
        return left + sizes.index(images) * (width - left - 170) / max(1, len(sizes) - 1)

    def up(seconds: float) -> float:
        share = (math.log10(seconds) - low) / max(1, high - low)
        return height - bottom - share * (height - bottom - top)

    for power in range(low, high + 1):
        y = up(10**power)
        parts.append(f'<path d="M{left} {y:.0f}H{width - 110}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{10**power:g} s</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        colour = ("#1a66c2", "#c2541a")[number % 2]
        path = " ".join(f"{across(p.images):.0f},{up(p.whole):.0f}" for p in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for point in line:
            x, y = across(point.images), up(point.whole)
            parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>')
            words = f"{point.whole:.2f} s, {point.garbage} digests"
            if point.images > sizes[0]:
                parts.append(
                    f'<text x="{x + 8:.0f}" y="{y + 18:.0f}" fill="{colour}">{words}</text>'
                )
        parts.append(f'<text x="{left}" y="{16 * number + 14}" fill="{colour}">{name}</text>')
    for images in sizes:
        parts.append(
            f'<text x="{across(images):.0f}" y="{height - 35}" text-anchor="middle">{images}</text>'
        )
    middle = (left + width - 110) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{height - 10}" text-anchor="middle">images</text></svg>'
    )
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
