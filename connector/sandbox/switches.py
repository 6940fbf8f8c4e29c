"""Switches: questions that the vendors' pages leave open, each with a name, so that a test can try every answer.

A switch makes no claim about the real services. Each default is the answer that lets most work proceed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Switch:
    """An open question: its default answer, the meaning of the answers, and the allowed values (empty: any)."""

    name: str
    default: Value
    sentence: str
    choices: tuple[str, ...] = ()


class Switches(Mapping[str, Value]):
    """The answers in force. Raises ValueError for an unknown name or an unsuitable value."""

    def __init__(self, known: tuple[Switch, ...], chosen: Mapping[str, Value] | None = None) -> None:
        self.known = {switch.name: switch for switch in known}
        self._values = {switch.name: switch.default for switch in known}
        self.update(chosen or {})
        self._initial = self._values

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def update(self, chosen: Mapping[str, Value]) -> None:
        """Set all of `chosen`, or none."""
        fitting = {name: self._fit(name, value) for name, value in chosen.items()}
        self._values = {**self._values, **fitting}

    def reset(self) -> None:
        """Restore the answers from the start."""
        self._values = self._initial

    def _fit(self, name: str, value: Value) -> Value:
        if name not in self.known:
            raise ValueError(f"there is no switch {name!r}; there are {', '.join(sorted(self.known))}")
        switch = self.known[name]
        if switch.choices and value not in switch.choices:
            raise ValueError(f"switch {name!r} is one of {', '.join(switch.choices)}, not {value!r}")
        kind = type(switch.default)
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise ValueError(f"switch {name!r} takes a {kind.__name__}, not {value!r}")
        if kind is not str and not isinstance(value, str) and value < 0:
            raise ValueError(f"switch {name!r} cannot be negative")
        return value


def table(known: tuple[Switch, ...]) -> str:
    """The switches as a Markdown table for the docs."""
    rows = [
        f"| `{switch.name}` | `{switch.default!r}` | {', '.join(map('`{}`'.format, switch.choices)) or 'any'} "
        f"| {switch.sentence} |"
        for switch in known
    ]
    return "\n".join(["| switch | default | values | guess |", "|---|---|---|---|", *rows])
