"""What was found out: a table for people, JSON for machines, charts of what grows."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.chart import line_chart
from tests.bench.figures import Memory, Old, Row, middle, rows
from tests.bench.place import Sizes

OURS = "connector"


@dataclass
class Report:
    """Figures by scenario and stack, of each round, as far as it got; `failures` says what went wrong."""

    sizes: Sizes
    stacks: Sequence[str]
    rounds: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, scenario: str, stack: str, figures: Any) -> None:
        """One round."""
        self.rounds.setdefault(scenario, {}).setdefault(stack, []).append(figures)

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The medians over the rounds."""
        return {
            scenario: {stack: middle(figures) for stack, figures in found.items()}
            for scenario, found in self.rounds.items()
        }

    def write(self, path: Path) -> None:
        """All of it, as JSON."""
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
            "sizes": asdict(self.sizes),
            "stacks": list(self.stacks),
            "results": {
                scenario: {name: asdict(figures) for name, figures in found.items()}
                for scenario, found in self.results.items()
            },
            "rounds": {
                scenario: {name: [asdict(figures) for figures in each] for name, each in found.items()}
                for scenario, found in self.rounds.items()
            },
            "failures": self.failures,
        }
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """One row a figure; what the connector finds out about its old texts in a table of its own."""
        side_by_side = {name: found for name, found in self.results.items() if name != "old"}
        if side_by_side:
            console.print(_side_by_side(self.stacks, side_by_side))
        if old := self.results.get("old", {}).get(OURS):
            console.print(_old(old))
        for failure in self.failures:
            console.print(f"FAILED {failure}", style="red", markup=False)

    def draw(self, folder: Path) -> None:
        """Charts of what was measured, as SVG."""
        folder.mkdir(parents=True, exist_ok=True)
        if used := self.results.get("memory", {}).get(OURS):
            (folder / "memory.svg").write_text(_memory_chart(used), encoding="utf-8")
        if old := self.results.get("old", {}).get(OURS):
            (folder / "old.svg").write_text(_old_chart(old), encoding="utf-8")


def _side_by_side(stacks: Sequence[str], results: dict[str, dict[str, Any]]) -> Table:
    table = Table("Scenario", "Figure", *stacks, "ours / best")
    _align(table)
    for scenario, found in results.items():
        by_label: dict[str, dict[str, Row]] = {}
        for name, figures in found.items():
            for row in rows(figures):
                by_label.setdefault(row.label, {})[name] = row
        for number, (label, row_of) in enumerate(by_label.items()):
            cells = [_number(row_of[name]) if name in row_of else "" for name in stacks]
            table.add_row("" if number else scenario, label, *cells, _ratio(row_of))
        table.add_section()
    return table


def _align(table: Table) -> None:
    """Words to the left, numbers to the right, each figure in one line."""
    for at, column in enumerate(table.columns):
        column.no_wrap = True
        column.justify = "right" if at > 1 else "left"


def _ratio(row_of: dict[str, Row]) -> str:
    """The connector's figure through the best of the others; empty where that says nothing."""
    others = [row.value for name, row in row_of.items() if name != OURS]
    ours = row_of.get(OURS)
    if not ours or not ours.better or not others:
        return ""
    best = max(others) if ours.better == "more" else min(others)
    return f"{ours.value / best:.2f}" if best > 0 and ours.value >= 0 else ""


def _number(row: Row) -> str:
    return f"{row.value:,.{row.digits}f}"


def _old(old: Old) -> Table:
    table = Table(
        "Old texts", "Figure", *(f"{step.old:,.0f}" for step in old.steps), "full / empty", "half of the turns"
    )
    _align(table)
    for scenario, of_label in old.ratios.items():
        columns = [list(rows(getattr(step, scenario))) for step in old.steps]
        for number, same in enumerate(zip(*columns, strict=True)):
            ratio = of_label.get(same[0].label)
            cells = [_number(row) for row in same]
            shares = ["", ""] if ratio is None else [f"{ratio.middle:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"]
            table.add_row("" if number else scenario, same[0].label, *cells, *shares)
        table.add_section()
    return table


def _memory_chart(used: Memory) -> str:
    return line_chart(
        "Memory in MB",
        "texts sent",
        {
            "web process": [(texts, web) for texts, web, _ in used.samples],
            "worker": [(texts, worker) for texts, _, worker in used.samples],
        },
    )


def _old_chart(old: Old) -> str:
    return line_chart(
        "Events and texts per second",
        "old texts in the ledger",
        {
            "accepted/s": [(step.old, step.accept.accepted_per_s) for step in old.steps],
            "texts/s": [(step.old, step.accept.texts_per_s) for step in old.steps],
        },
    )
