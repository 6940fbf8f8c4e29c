"""A line chart as SVG: one scale, one line a series, each named at its end."""

import html
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 50, 50
COLORS = ("#1f6feb", "#d9480f", "#2b8a3e", "#862e9c")
Points = Sequence[tuple[float, float]]


def line_chart(title: str, below: str, series: Mapping[str, Points]) -> str:
    """The chart as a file's content. `below` says what runs from left to right; both scales begin at 0."""
    most_x = max((x for points in series.values() for x, _ in points), default=0) or 1
    ticks = _ticks(max((y for points in series.values() for _, y in points), default=0))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / most_x * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / ticks[-1] * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="13" role="img" aria-label="{html.escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 26, title, size=16),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, below, anchor="middle"),
    ]
    for tick in ticks:
        x, y = place(0, tick)
        parts.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>')
        parts.append(_text(x - 8, y + 4, f"{tick:,.10g}", anchor="end"))
    for x in (0, most_x / 2, most_x):
        parts.append(_text(place(x, 0)[0], HEIGHT - BOTTOM + 18, f"{x:,.0f}", anchor="middle"))
    ends = _apart([place(*points[-1])[1] for points in series.values()])
    for (name, points), color, end in zip(series.items(), COLORS * len(series), ends, strict=False):
        parts += _line([place(*point) for point in points], color)
        parts.append(_text(WIDTH - RIGHT + 10, end + 4, name, color))
    return "\n".join([*parts, "</svg>", ""])


def _line(points: Points, color: str) -> Iterator[str]:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    yield f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>'
    if len(points) <= 20:
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points)


def _text(x: float, y: float, words: str, color: str = "#333333", anchor: str = "start", size: int = 13) -> str:
    head = f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" font-size="{size}">'
    return f"{head}{html.escape(words)}</text>"


def _ticks(most: float) -> list[float]:
    """0 to at least `most`, in three to six round steps."""
    power = 10.0 ** math.floor(math.log10((most or 1) / 3))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if most <= power * one * 5)
    return [step * count for count in range(max(math.ceil(most / step), 1) + 1)]


def _apart(ends: Sequence[float]) -> list[float]:
    """Where the names stand: beside their lines' ends, but not on top of each other."""
    places = list(ends)
    order = sorted(range(len(ends)), key=ends.__getitem__)
    for above, below in itertools.pairwise(order):
        places[below] = max(places[below], places[above] + 16)
    return places
