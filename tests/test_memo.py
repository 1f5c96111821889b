"""Memo: keys that cannot be confused, values that come back equal, stores that survive damage."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import typing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import memo
from generator.memo import BatchStore, FileStore, Memo, Plain, SqliteStore, decode, digest, encode
from generator.memo.code import installed
from generator.memo.stores import sealed
from generator.model import (
    Cell,
    CellHole,
    CellOptions,
    CellResult,
    Found,
    Heading,
    Html,
    Link,
    LinkEnd,
    LinkHole,
    Missing,
    Note,
    Output,
    Parsed,
    Problem,
    ProgramResult,
    Range,
    Resolution,
    Slug,
    Source,
    Span,
    Spans,
)

ROOT = Path(__file__).parent.parent

# ---------------------------------------------------------------- digest

DIFFERENT = [
    None, False, True, 0, 1, -1, 0.0, -0.0, 1.0, float("nan"), float("inf"), "", "0", "None", b"", b"0",
    (), ("",), ("", ""), ((),), ("ab",), ("a", "b"), (("a",), "b"), ("a", ("b",)), ("1:a",),
    frozenset(), frozenset({"a"}), frozenset({("a",)}), {}, {"a": 1}, {"a": 1.0}, {"a": True}, {1: "a"},
    Html("a"), "a", "é", "e\u0301", "\ud800", LinkHole(1), LinkEnd(1), CellHole(1), (LinkHole(1),),
    Span(1), Span(1, 2), Range(1, 1), Source("a", "b"), Source("a", "b", None, ""), Source("a", "b", ""),
]  # fmt: skip


def test_different_values_have_different_digests() -> None:
    same = [(a, b) for a, b in combinations(DIFFERENT, 2) if digest(a) == digest(b)]
    assert not same


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
        | st.frozensets(st.text() | st.tuples(st.integers(), st.text()), max_size=3)
    ),
)


@given(VALUES)
def test_the_encoding_of_a_digest_begins_no_other(value: object) -> None:
    other = memo.canonical((value, value))
    part = memo.canonical(value)
    assert other == memo.canonical(()).replace(b"0", b"2") + part + part


def test_the_order_of_a_dictionary_or_set_is_no_part_of_a_digest() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(frozenset("abcdefgh")) == digest(frozenset("hgfedcba"))


@dataclass
class Mutable:
    x: int = 1


@pytest.mark.parametrize("value", [[1], {1}, Mutable(), object(), bytearray(b"a"), Path("a"), 1j, Span, len])
def test_what_could_change_has_no_digest(value: object) -> None:
    for wrapped in (value, (value,), {"a": value}):
        with pytest.raises(TypeError):
            digest(wrapped)


def test_a_digest_is_the_same_in_every_process() -> None:
    program = "from generator.memo import digest; print(digest((frozenset('abcdef'), {'x': 1, 'y': 2.5})))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


# ---------------------------------------------------------------- encode and decode


def a_note(path: str = "a/b.md", text: str = "ü\ud800\u2028</script>") -> Parsed:
    body = ("<p>", LinkHole(0), text, LinkEnd(0), CellHole(0), "</p>")
    note = Note(
        path,
        Slug("a/b"),
        text,
        body,
        len(body),
        aliases=("x", "y"),
        properties=(("k", "v"),),
        headings=(Heading(2, "H", "h", Range(0, 3)),),
        links=(Link("embed", "t", ("h",), None, context=Range(1, 2), options=(("width", "3"),)),),
        cells=(Cell("1 + 1", "cell-1", CellOptions(timeout=2.5, check=True), expected="2"),),
    )
    return Parsed(note, Spans((Span(3, 4),), (Span(9),)), (Problem("c", "error", path, Span(0), "m"),))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (a_note(), Parsed),
        (Found(Slug("a"), "A", "h", "A › H", "case"), Resolution),
        (Missing(("a", "b")), Resolution),
        ((Missing(), Found(Slug("a"), "A", "", "A")), tuple[Resolution, ...]),
        ((1, "a", None), tuple[int, str, str | None]),
        ({"a": b"\x00\xff", "b": b""}, dict[str, bytes]),
        ({Slug("a"): (Span(1),)}, dict[Slug, tuple[Span, ...]]),
        (frozenset({"b", "a"}), frozenset[str]),
        (b"\x00raw", bytes),
        (Html("<b>"), Html),
        ({"a": [1, {"b": None}]}, object),
        (float("inf"), float),
    ],
)
def test_a_value_comes_back_equal_and_of_the_same_type(value: object, kind: object) -> None:
    back = decode(encode(value, kind), kind)
    assert back == value
    assert back.__class__ is value.__class__


def test_every_value_of_the_model_that_travels_through_a_store_has_a_codec() -> None:
    from generator import model

    for name in ("Parsed", "ProgramResult", "Program", "Page", "Verdict", "Vault", "Source", "Problem"):
        assert memo.codec(getattr(model, name)).load is not None


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f'["{text}"]'.encode()))
def test_what_was_not_encoded_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode(data, Parsed)


def test_a_type_that_json_cannot_carry_is_refused() -> None:
    for kind in (list[int], set[int], typing.Any, complex, str | Html):
        with pytest.raises(TypeError):
            memo.codec(kind)
    with pytest.raises(TypeError):
        encode({"a": (1, 2)}, object)


# ---------------------------------------------------------------- stores

Make = typing.Callable[[Path], typing.Any]
STORES = pytest.mark.parametrize(
    "make", [lambda path: FileStore(path / "store"), lambda path: SqliteStore(path / "store.sqlite")],
    ids=["files", "sqlite"],
)  # fmt: skip


@STORES
def test_a_store_gives_back_what_was_put_even_to_another_store_on_the_same_place(
    make: Make, tmp_path: Path
) -> None:
    one, two = make(tmp_path), make(tmp_path)
    one.put("k", b"1")
    one.put_many({"k": b"2", "empty": b"", "../x/\0": b"strange"})
    assert two.get("k") == b"2"
    assert two.get("other") is None
    assert two.get_many(["k", "empty", "../x/\0", "none"]) == {
        "k": b"2",
        "empty": b"",
        "../x/\0": b"strange",
    }
    assert {path.name for path in tmp_path.iterdir()} <= {"store", *SQLITE_FILES}


SQLITE_FILES = {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm"}


def test_a_damaged_file_is_a_miss_and_can_be_put_again(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("k", b"value")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i])
        assert store.get("k") is None
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        assert store.get("k") is None
    store.put("k", b"value")
    assert store.get("k") == b"value"


def test_a_file_moved_to_the_name_of_another_is_a_miss(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"of a")
    store.put("b", b"of b")
    first, second = (path for path in tmp_path.rglob("*") if path.is_file())
    shutil.copy(first, second)
    assert {store.get("a"), store.get("b")} in ({b"of a", None}, {b"of b", None})


def test_a_database_row_changed_by_hand_is_a_miss(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    store = SqliteStore(file)
    store.put_many({"a": b"of a", "b": b"of b", "c": b"of c"})
    with sqlite3.connect(file) as other:
        other.execute("update entry set value = (select value from entry where key = 'a') where key = 'b'")
        other.execute("update entry set value = 'text' where key = 'c'")
    assert store.get_many(["a", "b", "c"]) == {"a": b"of a"}


def test_a_run_with_any_byte_flipped_is_a_miss(tmp_path: Path) -> None:
    """Every byte of an entry as it lies in the database."""
    from generator.execution.protocol import Manifest, Run

    result = ProgramResult(Slug("n"), (CellResult("ok", (Output("stream", "stdout", "42\n"),)),))
    run = Run(result, Manifest((("numpy", "2.0"),), (("note:data.csv", "absent"),), complete=True))
    file = tmp_path / "s.sqlite"
    store = SqliteStore(file)
    store.put("run", encode(run))
    with sqlite3.connect(file) as other:
        [[whole]] = other.execute("select value from entry").fetchall()
        assert len(whole) > 100
        for i in range(len(whole)):
            damaged = whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :]
            other.execute("update entry set value = ?", (damaged,))
            other.commit()
            assert store.get("run") is None
        other.execute("update entry set value = ?", (whole,))
        other.commit()
    assert decode(store.get("run") or b"", Run) == run


@pytest.mark.parametrize("content", [b"not a database" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_foreign_file_in_place_of_the_database_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "s.sqlite"
    file.write_bytes(content)
    store = SqliteStore(file)
    assert store.get("k") is None
    store.put("k", b"value")
    assert store.get("k") == b"value"


def test_a_database_of_another_program_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    with sqlite3.connect(file) as other:
        other.execute("create table entry (id integer)")
    store = SqliteStore(file)
    assert store.get("k") is None
    store.put("k", b"value")
    assert store.get("k") == b"value"


def test_a_database_damaged_anywhere_never_raises_and_never_lies(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    entries = {f"key-{i}": b"value %d " % i * 40 for i in range(40)}
    store = SqliteStore(file)
    store.put_many(entries)
    store.close()
    whole = file.read_bytes()
    for start in range(0, len(whole), 1777):
        for damaged in (whole[:start], whole[:start] + b"\xff" * 64 + whole[start + 64 :]):
            file.write_bytes(damaged)
            again = SqliteStore(file)
            assert again.get_many(list(entries)).items() <= entries.items()
            again.put("new", b"value")
            again.close()


@STORES
def test_a_place_that_cannot_be_written_keeps_nothing_and_says_nothing(make: Make, tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("a file, not a folder")
    store = make(blocker)
    store.put("k", b"value")
    assert store.get("k") is None
    assert store.prune() == 0


@STORES
def test_what_no_recent_build_has_used_is_forgotten(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path)
    first.put_many({"used": b"1", "unused": b"2"})
    first.prune(builds=4)
    for _ in range(8):
        store = make(tmp_path)
        assert store.get("used") == b"1"
        store.prune(builds=4)
    assert make(tmp_path).get_many(["used", "unused"]) == {"used": b"1"}


@STORES
def test_what_was_used_within_the_last_builds_is_kept(make: Make, tmp_path: Path) -> None:
    make(tmp_path).put("k", b"1")
    for _ in range(3):
        make(tmp_path).prune(builds=4)
    assert make(tmp_path).get("k") == b"1"


WRITER = """
import sys
from pathlib import Path
from generator.memo import FileStore, SqliteStore
place, kind = Path(sys.argv[1]), sys.argv[2]
store = FileStore(place) if kind == "files" else SqliteStore(place / "s.sqlite")
for i in range(150):
    value = b"%d " % i * 300
    store.put(f"key-{i}", value)
    assert store.get(f"key-{i}") == value, i
store.prune()
"""


@pytest.mark.parametrize("kind", ["files", "sqlite"])
def test_processes_may_share_a_store(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), kind]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate()[1] for process in running]
    assert errors == [b"", b"", b""]


# ---------------------------------------------------------------- memo

CALLS: list[object] = []


def double(x: int) -> int:
    CALLS.append(x)
    return 2 * x


def times(x: int, y: int, name: str) -> tuple[int, str]:
    CALLS.append((x, y))
    return x * y, name


def raw(x: int) -> bytes:
    return b"\x00" * x


def silent(x):  # type: ignore[no-untyped-def]
    return x


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    CALLS.clear()
    return SqliteStore(tmp_path / "s.sqlite")


def test_a_result_is_computed_once(store: BatchStore) -> None:
    assert [Memo(store, version="1").call(double, 4) for _ in range(3)] == [8, 8, 8]
    assert CALLS == [4]


def test_only_new_items_of_a_map_are_computed_and_results_are_in_order(store: BatchStore) -> None:
    assert Memo(store, version="1").map(times, [3, 1], 10, "n") == ((30, "n"), (10, "n"))
    assert Memo(store, version="1").map(times, [1, 2, 3], 10, "n") == ((10, "n"), (20, "n"), (30, "n"))
    assert CALLS == [(3, 10), (1, 10), (2, 10)]


def test_another_shared_argument_version_or_function_is_another_key(store: BatchStore) -> None:
    Memo(store, version="1").map(times, [1], 10, "n")
    Memo(store, version="1").map(times, [1], 11, "n")
    Memo(store, version="1").map(times, [1], 10, "m")
    Memo(store, version="2").map(times, [1], 10, "n")
    Memo(store, version="1").map(double, [1])
    assert CALLS == [(1, 10), (1, 11), (1, 10), (1, 10), 1]


def test_what_keep_turns_down_is_given_but_never_stored(store: SqliteStore) -> None:
    for _ in range(2):
        assert Memo(store, version="1", remember=True).map(double, [1, 2], keep=lambda x: x > 2) == (2, 4)
    assert CALLS == [1, 2, 1]
    assert store._number("select count(*) from entry") == 1


def test_a_remembering_memo_needs_no_store_the_second_time(store: SqliteStore, tmp_path: Path) -> None:
    memory = Memo(store, version="1", remember=True)
    first = memory.map(times, [1, 2], 3, "n")
    store.close()
    (tmp_path / "s.sqlite").unlink()
    second = memory.map(times, [2, 1], 3, "n")
    assert second == first[::-1]
    assert len(CALLS) == 2


def test_of_many_results_only_some_exist_at_a_time(store: SqliteStore) -> None:
    numbers = list(range(1200))
    for caller in (Plain(), Memo(store, version="1")):
        CALLS.clear()
        results = caller.each(double, numbers, by=list(map(str, numbers)))
        assert next(results) == 0
        assert 0 < len(CALLS) < len(numbers)
        assert list(results) == [2 * number for number in numbers[1:]]
    assert list(Memo(store, version="1").each(double, numbers, by=list(map(str, numbers))))[-1] == 2398
    assert len(CALLS) == len(numbers)


def test_a_stored_value_of_another_shape_is_computed_again(store: SqliteStore) -> None:
    Memo(store, version="1").map(times, [1, 2], 3, "n")
    with sqlite3.connect(store._file) as other:
        for (key,) in other.execute("select key from entry").fetchall():
            other.execute("update entry set value = ? where key = ?", (sealed(key, b'["x"]'), key))
    assert Memo(store, version="1").map(times, [1, 2], 3, "n") == ((3, "n"), (6, "n"))


def test_bytes_are_stored_as_they_are(store: BatchStore) -> None:
    assert Memo(store, version="1").map(raw, [0, 3]) == (b"", b"\0\0\0")
    assert Memo(store, version="1").map(raw, [0, 3]) == (b"", b"\0\0\0")


def test_a_function_without_a_name_or_a_return_type_is_refused(store: BatchStore) -> None:
    for function in (lambda x: x, silent):
        with pytest.raises(TypeError):
            Memo(store, version="1").map(function, [1])


def test_a_plain_caller_gives_what_a_memo_gives(store: BatchStore) -> None:
    for caller in (Plain(), Memo(store, version="1")):
        assert caller.call(double, 2) == 4
        assert caller.map(times, [1, 2], 3, "n") == ((3, "n"), (6, "n"))


# ---------------------------------------------------------------- the version of the code


def test_the_version_follows_every_file_of_the_code(tmp_path: Path) -> None:
    def version() -> str:
        return memo.code_version([tmp_path])

    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("1")
    seen = [version()]
    (tmp_path / "room" / "a.py").write_text("2")
    seen.append(version())
    (tmp_path / "b.html").write_text("")
    seen.append(version())
    assert len(set(seen)) == 3
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("")
    assert version() == seen[-1]


def test_the_version_follows_the_installed_libraries() -> None:
    found = " ".join(installed())
    for library in memo.LIBRARIES:
        assert library.replace("-", "_") in found.replace("-", "_")


# ---------------------------------------------------------------- several processes

TEAM = """
import os, signal, sys, time
from pathlib import Path
from generator.memo import Memo, Plain, SqliteStore, WorkerCrash, compute
from generator.model import Source

PARENT = os.getpid()

def work() -> None:
    # Leave something to the others, however late they start.
    time.sleep(0.002 if os.getpid() == PARENT else 0.0005)

def who(item: Source, suffix: str) -> tuple[str, int]:
    work()
    return item.path + suffix, os.getpid()

def flee(number: int) -> int:
    if os.getpid() != PARENT:
        os.kill(os.getpid(), signal.SIGKILL)
    return number

def linger(seconds: int) -> int:
    time.sleep(seconds)
    return seconds

def fail(item: Source) -> str:
    if item.path == "77":
        raise KeyError(item.path)
    return item.path

def die(item: Source, how: int) -> str:
    if os.getpid() != PARENT:
        os.kill(os.getpid(), how)
    work()
    return item.path

ITEMS = [Source(str(i), "x" * 3000) for i in range(500)]
"""


def run_team(program: str, *arguments: str) -> str:
    """In a process of its own: a test runner has threads, beside which nothing is forked."""
    done = subprocess.run(
        [sys.executable, "-c", TEAM + program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_several_processes_share_a_map_and_its_order_holds() -> None:
    program = """
results = Plain(jobs=3).map(who, ITEMS, "!")
assert [name for name, _ in results] == [item.path + "!" for item in ITEMS]
print(len({pid for _, pid in results}) > 1)
"""
    assert run_team(program) == "True"


def test_what_other_processes_computed_is_stored(tmp_path: Path) -> None:
    program = """
for _ in range(2):
    store = SqliteStore(Path(sys.argv[1]))
    results = Memo(store, version="1", jobs=2).map(who, ITEMS, "!")
    store.close()
    print(len({pid for _, pid in results}), hash(results))
"""
    first, second = run_team(program, str(tmp_path / "s.sqlite")).splitlines()
    assert first == second


def test_an_exception_in_another_process_is_raised_here() -> None:
    program = """
try:
    Plain(jobs=2).map(fail, ITEMS)
except KeyError as error:
    print(error)
"""
    assert run_team(program) == "'77'"


def test_a_process_that_dies_is_reported_with_the_signal_and_the_item() -> None:
    program = """
try:
    Plain(jobs=2).map(die, ITEMS, signal.SIGKILL)
except WorkerCrash as error:
    print(error)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child left")
"""
    message, children = run_team(program).splitlines()
    assert "SIGKILL" in message
    assert "memory" in message
    assert message.rsplit(" ", 1)[1].isdigit()
    assert children == "no child left"


def test_what_is_begun_is_worked_at_by_another_process() -> None:
    program = """
given = Plain(jobs=2).begin(who, ITEMS[3], "!")
(name, pid) = given()
assert name == "3!" and pid != PARENT
assert Plain(jobs=1).begin(who, ITEMS[3], "!")() == ("3!", PARENT)
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child left")
"""
    assert run_team(program) == "no child left"


def test_what_another_process_began_and_did_not_end_is_computed_here() -> None:
    program = """
assert Plain(jobs=2).begin(flee, 7)() == 7
try:
    Plain(jobs=2).begin(fail, ITEMS[77])()
except KeyError as error:
    print(error)
"""
    assert run_team(program) == "'77'"


def test_what_is_begun_and_never_asked_for_ends_with_its_promise() -> None:
    program = """
given = Plain(jobs=2).begin(linger, 60)
del given
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("no child left")
"""
    assert run_team(program) == "no child left"


def test_a_store_knows_at_once_what_another_process_puts_into_it(tmp_path: Path) -> None:
    program = """
store = SqliteStore(Path(sys.argv[1]))
store.put("a", b"1")
store.put_beside(["b"], lambda: {"b": str(os.getpid()).encode()})
assert store.get("a") == b"1"
assert store.get("b") not in (None, str(PARENT).encode())
store.put_beside(["c"], lambda: {"c": b"3"})
store.close()
print(SqliteStore(Path(sys.argv[1])).get_many(["a", "c"]))
"""
    assert run_team(program, str(tmp_path / "s.sqlite")) == "{'a': b'1', 'c': b'3'}"


def test_few_items_are_computed_here() -> None:
    program = 'print({pid for _, pid in Plain(jobs=2).map(who, ITEMS[:5], "!")} == {PARENT})'
    assert run_team(program) == "True"
