"""
YAML text as plain values, with the line and column of every key and value.

A definition needs little of YAML: mappings, lists and scalars. Scalars follow YAML 1.2: null, true, false and decimal
numbers; ``2026-03-01T09:00Z``, ``48h``, ``40%``, ``yes`` and ``007`` stay text. Anchors, aliases, tags and directives
are refused: nobody needs them here, and they are how a small file becomes a large one. It is built from PyYAML's
events, not its nodes, because those come one at a time: a file nested too deeply is refused before it is read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from assay.contract.errors import AssayError

CHARACTERS_MAX = 256 * 1024
DEPTH_MAX = 32
# Decimal digits that a double keeps; more would be rounded in silence.
DIGITS_MAX = 15
INTEGER_DIGITS_MAX = 18

Path = tuple[str | int, ...]

_NULLS: Final = ("", "~", "null", "Null", "NULL")
_FLAGS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# As in YAML 1.2, but a number with a leading zero is text: it is an id or a post code.
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,2})?")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Slip:
    """One thing wrong with a text as YAML."""

    position: Position
    message: str


@dataclass(eq=False)
class UnreadableYaml(AssayError):
    """A text that is not the YAML of a definition."""

    slips: tuple[Slip, ...]

    def __str__(self) -> str:
        return "; ".join(f"{slip.position.line}:{slip.position.column}: {slip.message}" for slip in self.slips)


@dataclass(frozen=True)
class Tree:
    """One YAML document: its value, and where each part of it stands."""

    value: Any
    # Path -> where the value starts.
    values: Mapping[Path, Position]
    # Path -> where the key (or the list item) that leads to the value starts.
    keys: Mapping[Path, Position]

    def at(self, path: Path) -> Position:
        """Where the value at a path starts; of a path that is not there, where its nearest parent starts."""
        return self._nearest(self.values, path)

    def at_key(self, path: Path) -> Position:
        """Where the key that leads to a path starts."""
        return self._nearest(self.keys, path)

    def _nearest(self, places: Mapping[Path, Position], path: Path) -> Position:
        while path not in places and path:
            path = path[:-1]
        return places.get(path) or self.values[()]

    def get(self, path: Path) -> Any:
        """The value at a path; None where there is none."""
        value = self.value
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value


def read_yaml(text: str) -> tuple[Tree, ...]:
    """
    Read every document of a text.

    Returns:
        One tree for each document; none for a text of comments only. Keys are always text.

    Raises:
        UnreadableYaml: With every slip that could be told apart; a syntax error ends the reading.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > CHARACTERS_MAX:
        raise UnreadableYaml((Slip(Position(1, 1), f"the file is longer than {CHARACTERS_MAX:,} characters"),))
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        builder.slips.append(_syntax_slip(error))
    except yaml.reader.ReaderError as error:
        builder.slips.append(_character_slip(text, error))
    except _Stop as stop:
        builder.slips.append(stop.slip)
    if builder.slips:
        raise UnreadableYaml(tuple(builder.slips))
    return tuple(builder.trees)


@dataclass(eq=False)
class _Stop(Exception):
    """A slip after which reading on would make no sense."""

    slip: Slip


@dataclass
class _Frame:
    """A mapping or list that is being filled."""

    path: Path
    container: dict[str, Any] | list[Any]
    # Of a mapping: the key whose value comes next; None before a key.
    key: str | None = None


@dataclass
class _Builder:
    """Turns the events of PyYAML into trees."""

    trees: list[Tree] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)
    _frames: list[_Frame] = field(default_factory=list)
    _values: dict[Path, Position] = field(default_factory=dict)
    _keys: dict[Path, Position] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._values, self._keys = {}, {}
                if event.version or event.tags:
                    self._slip(event, "directives (%YAML, %TAG) are not used here; remove the line")
            case yaml.AliasEvent():
                raise _Stop(
                    Slip(_position(event.start_mark), f"the alias *{event.anchor} is refused; write the value out")
                )
            case yaml.ScalarEvent():
                self._check_properties(event)
                self._take_scalar(event)
            case yaml.MappingStartEvent():
                self._open(event, {})
            case yaml.SequenceStartEvent():
                self._open(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._frames.pop()

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, event)
        else:
            self._place(event, self._scalar(event))

    def _take_key(self, frame: _Frame, event: yaml.ScalarEvent) -> None:
        frame.key = event.value
        path = (*frame.path, event.value)
        if path in self._keys:
            self._slip(event, f"the key `{event.value}` is here twice; the first is on line {self._keys[path].line}")
        self._keys.setdefault(path, _position(event.start_mark))

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if event.style is not None:
            return event.value
        text = event.value
        if text in _NULLS:
            return None
        if text in _FLAGS:
            return _FLAGS[text]
        if _INTEGER.fullmatch(text):
            return self._number(event, text, INTEGER_DIGITS_MAX, int)
        if _DECIMAL.fullmatch(text):
            return self._number(event, text, DIGITS_MAX, float)
        return text

    def _number(self, event: yaml.ScalarEvent, text: str, digits_max: int, make: type[int] | type[float]) -> Any:
        mantissa = re.split("[eE]", text)[0]
        if sum(char.isdigit() for char in mantissa) > digits_max:
            self._slip(event, f"a number of more than {digits_max} digits; put it in quotes if it is text")
            return None
        return make(text)

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, container: Any) -> None:
        self._check_properties(event)
        position = _position(event.start_mark)
        if len(self._frames) >= DEPTH_MAX:
            raise _Stop(Slip(position, f"nested more than {DEPTH_MAX} levels deep"))
        frame = self._frames[-1] if self._frames else None
        if frame and isinstance(frame.container, dict) and frame.key is None:
            raise _Stop(Slip(position, "a key must be plain text, not a mapping or list"))
        self._frames.append(_Frame(self._place(event, container), container))

    def _place(self, event: yaml.Event, value: Any) -> Path:
        """Put a finished value, or a container that is about to be filled, where it belongs."""
        position = _position(event.start_mark)
        if not self._frames:
            self._values[()] = position
            self.trees.append(Tree(value, self._values, self._keys))
            return ()
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            path: Path = (*frame.path, len(frame.container))
            frame.container.append(value)
            self._keys[path] = position
        else:
            assert frame.key is not None, "a scalar before a key is the key"
            path = (*frame.path, frame.key)
            frame.container.setdefault(frame.key, value)
            frame.key = None
        self._values.setdefault(path, position)
        return path

    def _check_properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._slip(event, f"the anchor &{event.anchor} is refused; write the value out where it is needed")
        if event.tag is not None:
            self._slip(event, f"the tag {event.tag} is refused; quotes make a text, nothing else needs a tag")

    def _slip(self, event: yaml.Event, message: str) -> None:
        self.slips.append(Slip(_position(event.start_mark), message))


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


_HINTS: Final = {
    "mapping values are not allowed here": "a text with `: ` in it needs quotes, and the keys of a mapping one column",
    "found character '\\t' that cannot start any token": "YAML is indented with spaces, never with tabs",
    "found character '%' that cannot start any token": "a text that starts with % needs quotes",
    "found character '@' that cannot start any token": "a text that starts with @ needs quotes",
    "found character '`' that cannot start any token": "a text that starts with a backtick needs quotes",
    "could not find expected ':'": "a key is followed by a colon and a space",
}


def _syntax_slip(error: yaml.MarkedYAMLError) -> Slip:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "unreadable"
    hint = _HINTS.get(problem)
    message = f"not YAML: {problem}" + (f" ({hint})" if hint else "")
    return Slip(_position(mark) if mark else Position(1, 1), message)


def _character_slip(text: str, error: yaml.reader.ReaderError) -> Slip:
    before = text[: error.position]
    line = before.count("\n") + 1
    column = error.position - (before.rfind("\n") + 1) + 1
    code = error.character if isinstance(error.character, int) else ord(error.character)
    return Slip(Position(line, column), f"the character U+{code:04X} is not allowed in a definition")


def walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value of a tree with its path, outermost first, in the order of the file."""
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield from walk(child, (*path, step))
