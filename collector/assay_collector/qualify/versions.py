"""What the register of definitions says, compiled; and how it comes to say something else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import PurePosixPath

import msgspec
from msgspec.structs import replace as with_fields

from assay.contract.errors import AssayError
from assay.contract.times import INSTANT_MAX
from assay_collector.pql.compilation import PROJECT_FILES, compile_documents
from assay_collector.pql.definition import Catalogue, Definition, Elder
from assay_collector.pql.differences import differences
from assay_collector.pql.normal_form import content_hash
from assay_collector.pql.problems import DefinitionProblems
from assay_collector.pql.windows import parse_duration
from assay_collector.store import SHADOW, Register, RegisterMoved, Version, VersionChange, VersionStatus

_FOLDER = "folder"


@dataclass(eq=False)
class UnknownVersion(AssayError):
    """The register has no such definition, or no such version of it."""

    wanted: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"the register has no definition {self.wanted!r}; it has {', '.join(self.known) or 'none at all'}"


@dataclass(frozen=True, slots=True)
class Decided:
    """Who changes the register, when and why."""

    actor: str
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class Written:
    """A definition with the texts it was read from."""

    definition: Definition
    text: str
    project: str

    @property
    def content(self) -> str:
        """Identifies what it says."""
        return content_hash(self.definition)


def write_down(documents: Mapping[str, str], catalogue: Catalogue) -> tuple[Written, ...]:
    """The definitions that were read from these texts, with them."""
    project = next((documents[file] for file in documents if PurePosixPath(file).name in PROJECT_FILES), "")
    return tuple(Written(found, documents[found.file], project) for found in catalogue.definitions)


# --- what runs ---


@dataclass(frozen=True, slots=True)
class Running:
    """What decides, until an instant at which that changes by itself."""

    active: Catalogue
    # The same, and the shadows, each under a name of its own.
    all: Catalogue
    until: int = INSTANT_MAX


def running(register: Register, now: int) -> Running:
    """
    What decides, as the register has it.

    Raises:
        DefinitionProblems: A version can no longer be read; its file says which.
    """
    versions = {version.content: version for version in register.versions()}
    active = [
        _with_elders(version, versions)
        for version in sorted(versions.values(), key=lambda version: version.id)
        if version.status == "active"
    ]
    shadows = [compiled(version) for version in versions.values() if version.status == "shadow"]
    overlaps = _overlaps(register.history(), versions, now)
    shadows += [compiled(versions[content]) for content, _ in overlaps]
    named = {shadow_name(found): replace(found, id=shadow_name(found)) for found in shadows}
    return Running(
        active=Catalogue(definitions=tuple(active)),
        all=Catalogue(definitions=(*active, *(named[name] for name in sorted(named)))),
        until=min((until for _, until in overlaps), default=INSTANT_MAX),
    )


def shadow_name(definition: Definition) -> str:
    """Under what name the ledger keeps what a definition says as a shadow."""
    return f"{SHADOW}{definition.id}@{definition.version}"


def compiled(version: Version) -> Definition:
    """
    A version's definition.

    Raises:
        DefinitionProblems: It can no longer be read.
    """
    return _compiled(version.id, version.file, version.text, version.project)


@lru_cache(maxsize=500)
def _compiled(id: str, file: str, text: str, project: str) -> Definition:
    documents = {file: text, **({PROJECT_FILES[0]: project} if project else {})}
    compilation = compile_documents(documents)
    for found in compilation.catalogue.definitions:
        if found.id == id:
            return found
    raise DefinitionProblems(compilation.problems)


def _with_elders(version: Version, versions: Mapping[str, Version]) -> Definition:
    if not version.lineage:
        return compiled(version)
    elder: Elder | None = None
    for content, until in version.lineage:
        elder = Elder(replace(compiled(versions[content]), elder=elder), until)
    meaning = msgspec.json.encode([version.hash, version.lineage])
    return replace(compiled(version), elder=elder, hash=blake2b(meaning, digest_size=16).hexdigest())


def _overlaps(history: Iterable[VersionChange], versions: Mapping[str, Version], now: int) -> list[tuple[str, int]]:
    """The contents that go on as shadows of what replaced them, and until when."""
    last = {change.id: change for change in history}
    return [
        (change.replaced, change.overlap_until)
        for change in last.values()
        if change.replaced is not None
        and change.overlap_until is not None
        and now < change.overlap_until
        and versions[change.content].status == "active"
    ]


# --- how that changes ---


def activate(register: Register, written: Written, by: Decided) -> VersionChange | None:
    """Let a definition decide, in place of the version before. None: it does already."""
    return _change(register, lambda book: book.activate(written, by))


def shadow(register: Register, written: Written, by: Decided) -> VersionChange | None:
    """Let a definition be decided without anybody being told. None: it is already, or it even decides."""
    return _change(register, lambda book: book.shadow(written, by))


def retire(register: Register, id: str, by: Decided) -> VersionChange | None:
    """
    Let a definition, and its shadow, decide no more. None: it does not.

    Raises:
        UnknownVersion: The register has none of this id.
    """
    return _change(register, lambda book: book.retire(id, by))


def follow_folder(register: Register, written: Sequence[Written], at: int) -> int:
    """
    Let the register follow a folder of definitions: a file that is new or changed since the last time is activated, and
    one that is gone is retired; a file that is as it was changes nothing, whatever was decided meanwhile.

    Returns:
        How many changes that made.
    """
    before = register.files()
    revision = register.revision()
    book = _Book(register.versions())
    found = {each.definition.id: each.content for each in written}
    by = Decided(_FOLDER, "", at)
    for each in written:
        if before.get(each.definition.id) != each.content:
            book.activate(each, by)
    for id in sorted(before.keys() - found.keys()):
        book.retire(id, Decided(_FOLDER, "its file is gone from the folder", at))
    if book.changes or found != dict(before):
        register.record(book.touched, book.changes, revision=revision, files=found)
    return len(book.changes)


def find(register: Register, name: str) -> Version:
    """
    A version by the definition's id: its shadow, else the active one, else the latest; or by ``ID@VERSION``.

    Raises:
        UnknownVersion: There is none.
    """
    id, _, number = name.partition("@")
    known = register.versions()
    found = [version for version in known if version.id == id and number in ("", str(version.version))]
    if not found:
        names = (f"{version.id}@{version.version}" if number else version.id for version in known)
        raise UnknownVersion(name, tuple(dict.fromkeys(sorted(names))))
    by_status = {version.status: version for version in found}
    return by_status.get("shadow") or by_status.get("active") or found[-1]


def _change(register: Register, act: Callable[["_Book"], None]) -> VersionChange | None:
    revision = register.revision()
    book = _Book(register.versions())
    act(book)
    if not book.changes:
        return None
    register.record(book.touched, book.changes, revision=revision)
    return book.changes[-1]


class _Book:
    """The versions while they are being changed."""

    def __init__(self, versions: Iterable[Version]) -> None:
        self._versions = {version.content: version for version in versions}
        self._touched: dict[str, None] = {}
        self.changes: list[VersionChange] = []

    @property
    def touched(self) -> list[Version]:
        """The versions that are new or otherwise than before."""
        return [self._versions[content] for content in self._touched]

    def activate(self, written: Written, by: Decided) -> None:
        content, id = written.content, written.definition.id
        before = self._with_status(id, "active")
        if before is not None and before.content == content:
            return
        trend, overlap_until = _continuity(written.definition, before, by.at)
        lineage = (*before.lineage, (before.content, by.at)) if before is not None and trend == "splice" else ()
        self._end(id, by.at)
        self._put(written, "active", by.at, lineage)
        self._append(written, "activated", by, before, trend, overlap_until)

    def shadow(self, written: Written, by: Decided) -> None:
        content, id = written.content, written.definition.id
        known = self._versions.get(content)
        if known is not None and known.status != "retired":
            return
        other = self._with_status(id, "shadow")
        if other is not None:
            self._set(other, "retired", by.at)
        self._put(written, "shadow", by.at, ())
        self._append(written, "shadowed", by, self._with_status(id, "active"))

    def retire(self, id: str, by: Decided) -> None:
        known = [version for version in self._versions.values() if version.id == id]
        if not known:
            raise UnknownVersion(id, tuple(sorted({version.id for version in self._versions.values()})))
        ended = self._with_status(id, "active") or self._with_status(id, "shadow")
        if ended is None:
            return
        self._end(id, by.at)
        self.changes.append(
            VersionChange(
                id=id,
                version=ended.version,
                content=ended.content,
                change="retired",
                at=by.at,
                actor=by.actor,
                note=by.note,
            )
        )

    def _with_status(self, id: str, status: VersionStatus) -> Version | None:
        found = (version for version in self._versions.values() if version.id == id and version.status == status)
        return next(found, None)

    def _end(self, id: str, at: int) -> None:
        for version in [each for each in self._versions.values() if each.id == id and each.status != "retired"]:
            self._set(version, "retired", at)

    def _set(self, version: Version, status: VersionStatus, at: int) -> None:
        # What it spliced onto is kept: a retired version may be an elder of the next.
        self._versions[version.content] = with_fields(version, status=status, since=at)
        self._touched[version.content] = None

    def _put(self, written: Written, status: VersionStatus, at: int, lineage: tuple[tuple[str, int], ...]) -> None:
        definition, content = written.definition, written.content
        self._versions[content] = Version(
            content=content,
            id=definition.id,
            version=definition.version,
            hash=definition.hash,
            status=status,
            since=at,
            lineage=lineage,
            file=definition.file,
            text=written.text,
            project=written.project,
        )
        self._touched[content] = None

    def _append(
        self,
        written: Written,
        change: str,
        by: Decided,
        before: Version | None,
        trend: str | None = None,
        overlap_until: int | None = None,
    ) -> None:
        definition = written.definition
        self.changes.append(
            VersionChange(
                id=definition.id,
                version=definition.version,
                content=written.content,
                change=change,  # type: ignore[arg-type]
                at=by.at,
                actor=by.actor,
                note=by.note,
                replaced=None if before is None else before.content,
                replaced_version=None if before is None else before.version,
                diff=differences(None if before is None else compiled(before), definition),
                trend=trend,
                overlap_until=overlap_until,
            )
        )


def _continuity(definition: Definition, before: Version | None, at: int) -> tuple[str | None, int | None]:
    """How lines over time join, and until when the version before goes on as a shadow."""
    if before is None:
        return None, None
    said = definition.document.get("continuity", {})
    if said.get("supersedes") != before.version:
        return "restate", None
    overlap = parse_duration(str(said["overlap"])) if "overlap" in said else None
    return str(said["trend"]), None if overlap is None else at + overlap


__all__ = [
    "Decided",
    "RegisterMoved",
    "Running",
    "UnknownVersion",
    "Written",
    "activate",
    "compiled",
    "find",
    "follow_folder",
    "retire",
    "running",
    "shadow",
    "shadow_name",
    "write_down",
]
