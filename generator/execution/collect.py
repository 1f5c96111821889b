"""Puts the outputs of a cell together, in order, up to a size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from generator.execution.manifest import without_folders

Json = dict[str, Any]


class Collector:
    """Outputs of one cell, as JSON of `model.Output`. Past `limit` bytes the rest is dropped, and a sentence
    says so. `folders` are taken out of what is written to stderr: warnings name files of this machine."""

    def __init__(self, limit: int, folders: Sequence[str] = ()) -> None:
        self._folders = folders
        self._limit = limit
        self._left = limit
        self._outputs: list[Json] = []
        self._named: dict[str, Json] = {}
        self._clear_later = False
        self._cut = False

    def outputs(self) -> list[Json]:
        for output in self._outputs:
            if isinstance(output.get("text"), list):
                text = _clean("".join(output["text"]))
                output["text"] = without_folders(text, self._folders) if output["name"] == "stderr" else text
        return self._outputs

    def take(self, message: Json) -> None:
        """Take in what a cell displayed, or its wish to start over."""
        if message["kind"] == "clear":
            self._clear_later = True
            if not message["later"]:
                self._begin()
        elif message["kind"] in ("display", "result"):
            self._show(message)

    def text(self, name: str, text: str) -> None:
        """Take in printed text."""
        self._begin()
        taken = self._room(text)
        if not taken:
            return
        last = self._outputs[-1] if self._outputs else None
        if last is None or last["kind"] != "stream" or last["name"] != name:
            last = {"kind": "stream", "name": name, "text": []}
            self._outputs.append(last)
        last["text"].append(taken)

    def error(self, error: Json) -> None:
        self._begin()
        self._outputs.append({"kind": "error", **error})

    def _begin(self) -> None:
        if self._clear_later:
            self._clear_later = False
            self._outputs.clear()
            self._left = self._limit

    def _room(self, text: str) -> str:
        """As much of a text as there is room for."""
        size = len(text.encode(errors="replace"))
        if size <= self._left:
            self._left -= size
            return text
        rest, self._left = text[: self._left], 0
        self._say_cut(rest)
        return ""

    def _say_cut(self, rest: str) -> None:
        if not self._cut:
            self._cut = True
            text = f"{rest}\n[The output is cut here: a cell may put out {self._limit / 1e6:g} MB.]\n"
            self._outputs.append({"kind": "stream", "name": "stdout", "text": [text]})

    def _show(self, message: Json) -> None:
        data = pairs(message["data"])
        name = message.get("id", "")
        if message.get("update"):
            if name in self._named:
                self._named[name]["data"] = data
            return
        self._begin()
        size = sum(len(text) for _, text in data)
        if size > self._left:
            self._say_cut("")
            return
        self._left -= size
        output = {"kind": message["kind"], "data": data}
        if name:
            self._named[name] = output
        self._outputs.append(output)


def pairs(data: Mapping[str, Any]) -> list[list[str]]:
    """A MIME bundle as sorted pairs of text. Of what is a script by its type only the type is kept."""
    return [[mime, "" if _is_script(mime) else _text(value)] for mime, value in sorted(data.items())]


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = "".join(value)
    return _clean(value) if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _is_script(mime: str) -> bool:
    return "javascript" in mime or "ecmascript" in mime


def _clean(text: str) -> str:
    """Text that can be encoded: a lone surrogate becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
