"""Evidence that is kept beside the notes, in `.evidence/`: readable, sorted, small, and under version
control.

For each note there is one file, `NOTE.json`, with its last accepted run: what it was a run of, what came out,
what was checked, how its digits fared elsewhere, and which expectations were written from it. Long texts and
pictures lie in `outputs/`, each named by its content. Pure: files come in and go out as bytes by their path.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any, NewType

from generator.execution.entry import Entry, Parts
from generator.execution.protocol import Manifest
from generator.memo import digest
from generator.model import CellResult, Output, ProgramResult

FOLDER = ".evidence"
_OUTPUTS = "outputs/"
_FORMAT = 1
_INLINE = 2_000
_WIDTH = 120
_LARGEST = 400_000
_LARGEST_NOTE = 2_000_000
_REFERENCE = "\x00file:"
OUTSIDE = "outside:"
"""How the location of a file begins that only the machine of the run has."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is kept of one note. `accepted` are marks (see `acceptance`) of what `accept` has written."""

    parts: Parts
    entry: Entry
    accepted: tuple[str, ...] = ()


Lookup = Callable[[str], Evidence | None]
"""The evidence of a note, by its path."""


def name_of(path: str) -> str:
    """The file of a note's evidence, relative to the folder."""
    return f"{path}.json"


def acceptance(cell: str, text: str) -> str:
    """The mark of one accepted expectation: its text, for a cell whose syntax has the digest `cell`."""
    return f"{cell[:16]}:{mark(text)}"


def mark(text: str) -> str:
    """A digest of an expectation's text, however it is laid out."""
    return digest(" ".join(text.split()))[:16]


def portable(manifest: Manifest) -> Manifest:
    """A manifest that names no place of this machine: of a file outside the notes only its name is kept."""
    inputs = ((_anywhere(where), seen) for where, seen in manifest.inputs)
    return replace(manifest, inputs=tuple(sorted(inputs)))


def _anywhere(where: str) -> str:
    if where.startswith(("note:", "vault:", "library:", OUTSIDE)):
        return where
    return f"{OUTSIDE}{digest(where)[:8]}/{where.rsplit('/', 1)[-1]}"


# ---------------------------------------------------------------- to files


def to_files(path: str, evidence: Evidence) -> dict[str, bytes]:
    """The files of a note's evidence. What is too large for it is left out, and the file says so."""
    files: dict[str, bytes] = {}
    results = tuple(_outsourced(result, files) for result in evidence.entry.run.result.results)
    slim = _with_results(evidence, results)
    data = {"format": _FORMAT, "note": path, **_plain(slim)}
    return {name_of(path): f"{_written(data, 0)}\n".encode("utf-8", "replace"), **files}


def _written(value: Any, depth: int) -> str:
    """JSON with sorted names, a line for whatever fits on one."""
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if not isinstance(value, dict | list) or len(line) + depth <= _WIDTH:
        return line
    pad = " " * (depth + 1)
    if isinstance(value, list):
        items = [pad + _written(item, depth + 1) for item in value]
    else:
        items = [f"{pad}{json.dumps(key)}: {_written(value[key], depth + 1)}" for key in sorted(value)]
    start, end = "[]" if isinstance(value, list) else "{}"
    inner = ",\n".join(items)
    return f"{start}\n{inner}\n{' ' * depth}{end}"


def _with_results(evidence: Evidence, results: tuple[CellResult, ...]) -> Evidence:
    run = evidence.entry.run
    log = replace(run.result.log, cached=False)
    run = replace(run, result=replace(run.result, results=results, log=log), manifest=portable(run.manifest))
    return replace(evidence, entry=replace(evidence.entry, run=run))


def _outsourced(result: CellResult, files: dict[str, bytes]) -> CellResult:
    return replace(result, outputs=tuple(_short(output, files) for output in result.outputs))


def _short(output: Output, files: dict[str, bytes]) -> Output:
    text = _put(output.text, "txt", files)
    data = tuple((m, _put(t, "svg" if "svg" in m else "txt", files)) for m, t in output.data)
    return replace(output, text=text, data=data)


def _put(text: str, suffix: str, files: dict[str, bytes]) -> str:
    if len(text) <= _INLINE and not text.startswith(_REFERENCE):
        return text
    data = text.encode("utf-8", "replace")
    name = f"{_OUTPUTS}{digest(text)[:24]}.{suffix}"
    if len(data) > _LARGEST or len(data) + sum(map(len, files.values())) > _LARGEST_NOTE:
        return f"{_REFERENCE}"
    files[name] = data
    return f"{_REFERENCE}{name}"


def _plain(value: Any) -> Any:
    """A value as JSON that can be read: fields by name, those that say nothing left out."""
    if is_dataclass(value):
        pairs = ((field, getattr(value, field.name)) for field in fields(value))
        return {field.name: _plain(item) for field, item in pairs if item != field.default}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


# ---------------------------------------------------------------- from files


def from_files(path: str, read: Callable[[str], bytes | None]) -> Evidence | None:
    """The evidence of a note, or None if there is none that can be read. `read` gives a file by its name."""
    data = read(name_of(path))
    if data is None:
        return None
    try:
        content = json.loads(data)
        if content.pop("format") != _FORMAT or content.pop("note") != path:
            return None
        evidence: Evidence = _built(Evidence, content)
        results = tuple(_whole(result, read) for result in evidence.entry.run.result.results)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return _with_results(evidence, results)


def referenced(evidence_file: bytes) -> set[str]:
    """The names of the outputs that one file refers to."""
    text = evidence_file.decode("utf-8", "replace")
    mark = json.dumps(_REFERENCE)[1:-1]
    return {part.split('"', 1)[0] for part in text.split(mark)[1:]} - {""}


def _whole(result: CellResult, read: Callable[[str], bytes | None]) -> CellResult:
    outputs = (_filled(output, read) for output in result.outputs)
    return replace(result, outputs=tuple(output for output in outputs if output is not None))


def _filled(output: Output, read: Callable[[str], bytes | None]) -> Output | None:
    """An output with its texts; None if one of them is not there or is not what its name says."""
    texts = [_get(text, read) for text in (output.text, *(text for _, text in output.data))]
    if any(text is None for text in texts):
        return None
    whole = [text or "" for text in texts]
    data = tuple((mime, text) for (mime, _), text in zip(output.data, whole[1:], strict=True))
    return replace(output, text=whole[0], data=data)


def _get(text: str, read: Callable[[str], bytes | None]) -> str | None:
    if not text.startswith(_REFERENCE):
        return text
    name = text.removeprefix(_REFERENCE)
    data = read(name) if name.startswith(_OUTPUTS) and ".." not in name else None
    found = None if data is None else data.decode("utf-8", "replace")
    return found if found is not None and digest(found)[:24] in name else None


def _built(kind: Any, data: Any) -> Any:
    """The value of an annotated type that `_plain` made `data` from; ValueError if it did not."""
    if isinstance(kind, NewType):
        kind = kind.__supertype__
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if is_dataclass(kind):
        return _built_dataclass(typing.cast(type, kind), data)
    if origin is tuple:
        return _built_tuple(arguments, data)
    if origin in (typing.Union, types.UnionType):
        inner = next(one for one in arguments if one is not type(None))
        return None if data is None else _built(inner, data)
    if origin is typing.Literal:
        return _checked(data in arguments, data)
    return _checked(isinstance(data, (int, float) if kind is float else kind), data)


def _built_dataclass(kind: type, data: Any) -> Any:
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(typing.cast(Any, kind))}
    _checked(isinstance(data, Mapping) and data.keys() <= known.keys(), data)
    missing = [f.name for f in known.values() if f.name not in data and f.default is MISSING]
    _checked(not missing, missing)
    return kind(**{name: _built(hints[name], item) for name, item in data.items()})


def _built_tuple(arguments: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    _checked(isinstance(data, list), data)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_built(arguments[0], item) for item in data)
    return tuple(_built(kind, item) for kind, item in zip(arguments, data, strict=True))


def _checked(fine: bool, data: Any) -> Any:
    if not fine:
        raise ValueError(f"not what was written: {str(data)[:80]}")
    return data


# ---------------------------------------------------------------- beside a run


def beside(result: ProgramResult, evidence: Evidence, parts: Parts, same: bool) -> ProgramResult:
    """A result with what the evidence says of it: which expectations were accepted, and, where the evidence
    is of the `same` run, how its digits fared elsewhere."""
    kept = evidence.entry.run.result.results
    results = []
    for i, (one, cell) in enumerate(zip(result.results, parts.cells, strict=True)):
        audit = kept[i].audit if same and i < len(kept) else None
        fits = audit is not None and audit.text == printed(one)
        marks = (one.partition(":") for one in evidence.accepted)
        accepted = tuple(sorted(text for of, _, text in marks if of == cell[:16]))
        results.append(replace(one, audit=audit if fits else one.audit, accepted=accepted))
    return replace(result, results=tuple(results))


def printed(result: CellResult) -> str:
    """A digest of what a cell shows as text."""
    return digest(tuple(texts(result)))[:24]


def texts(result: CellResult) -> tuple[str, ...]:
    """The text of each output of a cell, as its page shows it; "" for what is no text."""
    return tuple(_text_of(output) for output in result.outputs)


def _text_of(output: Output) -> str:
    if output.kind == "stream":
        return output.text if output.name == "stdout" else ""
    return "" if output.kind == "error" else dict(output.data).get("text/plain", "")
