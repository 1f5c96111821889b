"""Disk: what is read from a vault, and a site that appears at once or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from generator import disk
from generator.disk import (
    MANIFEST,
    Locked,
    PublishError,
    Spool,
    fingerprint,
    lock,
    publish,
    scan,
    tree_hash,
)
from generator.disk.dates import hidden
from generator.disk.files import sha256
from generator.disk.stage import Stage, _rescue
from generator.memo import FileStore
from generator.model import OutPath, Problem, Site, Source, Span, Vault

ROOT = Path(__file__).parent.parent


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


def write(vault: Path, path: str, content: str | bytes = "text\n") -> Path:
    place = vault / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def paths(vault: Vault) -> list[str]:
    return [source.path for source in vault.sources]


def only(problems: tuple[Problem, ...]) -> Problem:
    [problem] = problems
    return problem


# ---------------------------------------------------------------- what a vault holds


def test_notes_and_assets_are_found_in_the_order_of_their_paths(vault: Path) -> None:
    for path in ("z.md", "a.md", "b/c.md", "b.md", "B/x.MD", "n.ipynb", "b/i.png", "plain.txt"):
        write(vault, path)
    found = scan(vault)
    assert paths(found) == ["B/x.MD", "a.md", "b.md", "b/c.md", "n.ipynb", "z.md"]
    assert [(asset.path, asset.size) for asset in found.assets] == [("b/i.png", 5), ("plain.txt", 5)]
    assert found.problems == ()


def test_hidden_and_foreign_folders_are_no_part_of_a_vault(vault: Path, tmp_path: Path) -> None:
    write(vault, "a.md")
    for path in (".obsidian/app.md", ".trash/b.md", ".hidden.md", "x/.git/c.md", "x/node_modules/d.md"):
        write(vault, path)
    write(vault, "_site/e.md")
    write(vault, "public/f.md")
    write(vault, "cache/g.md")
    assert paths(scan(vault, exclude=[vault / "public", vault / "cache"])) == ["a.md"]


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        ((), ["a.md", "d/a.md", "d/b.tmp.md", "d/e/a.md"]),
        (("*.tmp.md",), ["a.md", "d/a.md", "d/e/a.md"]),
        (("d/**",), ["a.md"]),
        (("d/",), ["a.md"]),
        (("/a.md",), ["a.md", "d/a.md", "d/b.tmp.md", "d/e/a.md"][1:]),
        (("d/*.md",), ["a.md", "d/e/a.md"]),
        (("d/**/a.md",), ["a.md", "d/b.tmp.md"]),
        (("?.md",), ["d/b.tmp.md"]),
        (("a.*", "[d]"), ["d/b.tmp.md"]),
    ],
)
def test_globs_leave_out_what_they_match(vault: Path, globs: tuple[str, ...], left: list[str]) -> None:
    for path in ("a.md", "d/a.md", "d/b.tmp.md", "d/e/a.md"):
        write(vault, path)
    assert paths(scan(vault, ignore=globs)) == left


def test_byte_order_marks_and_line_ends_are_unified(vault: Path) -> None:
    write(vault, "a.md", b"\xef\xbb\xbfone\r\ntwo\rthree\n\r\nend")
    [source] = scan(vault, dates="none").sources
    assert source == Source("a.md", "one\ntwo\nthree\n\nend")


@pytest.mark.parametrize(
    ("content", "span"),
    [
        (b"\xff", Span(1, 1)),
        (b"one\r\ntw\xc3\xb6 \xc3(", Span(2, 5)),
        (b"\xef\xbb\xbfab\xe9", Span(1, 3)),
        (b"a\rb\n\n\xf0\x9f\x98\x80\xf0\x9f", Span(4, 2)),
        (b"a\xed\xa0\x80", Span(1, 2)),
        ("text".encode("utf-16"), Span(1, 1)),
    ],
)
def test_a_note_that_is_no_utf8_is_a_problem_at_its_first_bad_byte(
    vault: Path, content: bytes, span: Span
) -> None:
    write(vault, "a.md", content)
    write(vault, "b.md")
    found = scan(vault)
    problem = only(found.problems)
    assert (problem.code, problem.path, problem.span) == ("encoding-invalid", "a.md", span)
    assert paths(found) == ["b.md"]


def test_a_note_that_is_too_large_is_a_problem(vault: Path) -> None:
    write(vault, "a.md", "x" * 101)
    write(vault, "b.md", "x" * 100)
    write(vault, "n.ipynb", "x" * 1000)
    found = scan(vault, note_bytes=100)
    assert (only(found.problems).code, only(found.problems).path) == ("note-too-large", "a.md")
    assert paths(found) == ["b.md", "n.ipynb"]


def test_names_are_nfc_whatever_the_disk_has(vault: Path) -> None:
    name = unicodedata.normalize("NFD", "Größe é.md")
    write(vault, name)
    assert paths(scan(vault)) == [unicodedata.normalize("NFC", name)]


def test_one_name_in_two_encodings_is_a_collision_that_names_both(vault: Path) -> None:
    write(vault, "é.md", "composed")
    if len(list(vault.iterdir())) == 1:
        write(vault, "e\u0301.md", "decomposed")
    found = scan(vault)
    problem = only(found.problems)
    assert problem.code == "path-collision"
    assert "NFC" in problem.message
    assert "decomposed" in problem.message
    assert paths(found) == ["é.md"]


def test_names_that_differ_in_case_are_a_collision_and_the_first_is_published(vault: Path) -> None:
    write(vault, "Note.md", "upper")
    write(vault, "note.md", "lower")
    write(vault, "other.md")
    found = scan(vault)
    problem = only(found.problems)
    assert (problem.code, problem.severity, problem.path) == ("path-collision", "error", "note.md")
    assert "Note.md and note.md" in problem.message
    assert [source.text for source in found.sources] == ["upper", "text\n"]


def test_names_that_cannot_be_published_are_problems(vault: Path) -> None:
    for name in (b"bad\xff.md", b"line\nbreak.md", b"back\\slash.md"):
        Path(os.fsdecode(bytes(vault) + b"/" + name)).write_text("x")
    write(vault, "x" * 251 + ".md")
    write(vault, "x" * 250 + ".md")
    write(vault, "sub/CON.md")
    found = scan(vault)
    assert sorted((problem.code, problem.path) for problem in found.problems) == [
        ("path-reserved", "sub/CON.md"),
        ("path-too-long", "x" * 251 + ".md"),
        ("path-unusable", "back\\slash.md"),
        ("path-unusable", "bad\\xff.md"),
        ("path-unusable", "line\\nbreak.md"),
    ]
    assert paths(found) == ["sub/CON.md", "x" * 250 + ".md"]


def test_joined_emoji_and_wide_spaces_are_ordinary_names(vault: Path) -> None:
    write(vault, "👩‍💻\u3000a\u00a0b.md")
    assert scan(vault).problems == ()


def test_a_pipe_is_not_read(vault: Path) -> None:
    os.mkfifo(vault / "pipe.md")
    found = scan(vault)
    assert only(found.problems).code == "file-special"
    assert found.sources == ()


def test_a_note_that_cannot_be_read_is_a_problem(vault: Path) -> None:
    write(vault, "a.md").chmod(0)
    write(vault, "b.md")
    write(vault, "c/d.md")
    (vault / "c").chmod(0)
    program = (
        "import os, sys; from pathlib import Path; from generator.disk import scan\n"
        "sys.path.insert(0, os.getcwd())\n"
        "root = os.open(sys.argv[1], os.O_RDONLY); os.fchdir(root)\n"
        "os.setuid(65534) if os.getuid() == 0 else None\n"
        "found = scan(Path('.'))\n"
        "print([s.path for s in found.sources], [(p.code, p.path) for p in found.problems])\n"
    )
    for folder in (vault, *vault.parents):
        if folder.owner() == vault.owner() and folder != folder.parent and folder.parent != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", program, str(vault)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    (vault / "c").chmod(0o755)
    assert done.stdout == "['b.md'] [('file-unreadable', 'c'), ('file-unreadable', 'a.md')]\n", done.stderr


# ---------------------------------------------------------------- links


def test_a_link_within_the_vault_is_followed(vault: Path) -> None:
    write(vault, "real/a.md", "a")
    (vault / "b.md").symlink_to("real/a.md")
    (vault / "alias").symlink_to(vault / "real")
    found = scan(vault)
    assert paths(found) == ["alias/a.md", "b.md", "real/a.md"]
    assert found.problems == ()


@pytest.mark.parametrize("target", ["../secret.md", "../vault-2/a.md", "/etc/hostname", "..", ".hidden/a.md"])
def test_a_link_that_leaves_the_vault_is_a_problem(vault: Path, tmp_path: Path, target: str) -> None:
    write(tmp_path, "secret.md", "canary")
    write(tmp_path, "vault-2/a.md", "canary")
    write(vault, ".hidden/a.md", "canary")
    (vault / "link.md").symlink_to(target)
    (vault / "folder").symlink_to((vault / target).parent)
    found = scan(vault)
    assert "path-escapes" in {problem.code for problem in found.problems}
    assert "canary" not in repr(found)


def test_links_in_circles_end(vault: Path) -> None:
    write(vault, "a/n.md")
    write(vault, "b/m.md")
    (vault / "a/up").symlink_to("..")
    (vault / "a/b").symlink_to("../b")
    (vault / "b/a").symlink_to("../a")
    (vault / "self.md").symlink_to("self.md")
    (vault / "gone.md").symlink_to("nothing.md")
    found = scan(vault)
    assert paths(found) == ["a/b/m.md", "a/n.md", "b/a/n.md", "b/m.md"]
    assert {(problem.code, problem.path) for problem in found.problems} == {
        ("symlink-loop", "a/up"),
        ("symlink-loop", "a/b/a"),
        ("symlink-loop", "b/a/b"),
        ("symlink-loop", "b/a/up"),
        ("symlink-loop", "self.md"),
        ("symlink-broken", "gone.md"),
    }


def test_many_folders_that_link_to_each_other_do_not_multiply(vault: Path) -> None:
    for i in range(12):
        write(vault, f"d{i}/n.md")
        for j in range(12):
            (vault / f"d{i}/to{j}").symlink_to(f"../d{j}")
    assert len(scan(vault).sources) == 12 * 12


def dig(folder: Path, depth: int) -> str:
    """A file at a depth that neither recursion nor the test runner's clean-up survives."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("n.md", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here))
    os.close(here)
    return "d/" * depth + "n.md"


def test_a_very_deep_folder_is_read_published_and_removed(vault: Path, out: Path) -> None:
    path = dig(vault, 1100)
    found = paths(scan(vault))
    subprocess.run(["rm", "-r", str(vault / "d")], check=True)
    assert found == [path]
    publish(out, Site({OutPath(path): b"x"}), vault)
    publish(out, site(a="1"), vault)
    assert tree(out) == {"a.html": "1"}


# ---------------------------------------------------------------- digests and fingerprints


def test_an_unchanged_asset_is_not_read_again(vault: Path, tmp_path: Path) -> None:
    old = time.time() - 100
    for name in ("a.png", "b.png"):
        os.utime(write(vault, name, b"1"), (old, old))
    cache = FileStore(tmp_path / "cache")
    before = {asset.path: asset.digest for asset in scan(vault, cache=cache).assets}
    key = f"assets 2 {os.path.realpath(vault)}"
    known = json.loads(cache.get(key) or b"")
    known[hidden(str(vault / "a.png"))][1] = "remembered"
    cache.put(key, json.dumps(known).encode())
    write(vault, "b.png", b"2")
    after = {asset.path: asset.digest for asset in scan(vault, cache=cache).assets}
    assert after["a.png"] == "remembered"
    assert after["b.png"] != before["b.png"]


def settled(vault: Path) -> str:
    """A fingerprint taken when the last change is no longer recent."""
    time.sleep(0.06)
    return fingerprint(vault)


def test_a_fingerprint_changes_with_every_change_of_a_file(vault: Path) -> None:
    write(vault, "a.md", "one")
    seen = [settled(vault)]
    assert settled(vault) == seen[0]
    changes: list[Callable[[], object]] = [
        lambda: write(vault, "a.md", "two"),
        lambda: write(vault, "b/c.png"),
        lambda: (vault / "a.md").rename(vault / "z.md"),
        lambda: (vault / "link").symlink_to("nowhere"),
        lambda: (vault / "b/c.png").unlink(),
    ]
    for change in changes:
        change()
        seen.append(settled(vault))
    assert len(set(seen)) == len(seen)


def test_a_fingerprint_of_a_file_just_changed_is_like_no_other(vault: Path) -> None:
    future = time.time() + 3600
    os.utime(write(vault, "a.md"), (future, future))
    assert fingerprint(vault) != fingerprint(vault)


def test_hidden_files_are_no_part_of_a_fingerprint(vault: Path) -> None:
    write(vault, "a.md")
    before = settled(vault)
    write(vault, ".obsidian/workspace.json")
    assert settled(vault) == before


# ---------------------------------------------------------------- dates


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self("init", "-q", "-b", "main")

    def __call__(self, *arguments: str, when: str = "2020-01-01T12:00:00Z") -> str:
        dates = {"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *who, *arguments],
            cwd=self.folder,
            env=os.environ | dates,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def commit(self, when: str) -> None:
        self("add", "-A", when=when)
        self("commit", "-q", "-m", when, when=f"{when}T23:30:00-02:00")


def dates(vault: Path, **more: object) -> dict[str, tuple[str | None, str | None]]:
    found = scan(vault, **more)  # type: ignore[arg-type]
    return {source.path: (source.created, source.modified) for source in found.sources}


@pytest.fixture
def history(vault: Path) -> Path:
    repository = Repository(vault.parent)
    write(vault, "a.md", "a")
    write(vault, "old name.md", "moved\n" * 20)
    repository.commit("2021-01-01")
    write(vault, "ü/b.md", "b")
    (vault / "old name.md").rename(vault / "new name.md")
    repository.commit("2022-02-02")
    write(vault, "a.md", "a changed")
    write(vault.parent, "elsewhere.md")
    repository.commit("2023-03-03")
    return vault


def test_dates_are_the_first_and_last_commit_in_utc_through_renames(history: Path) -> None:
    assert dates(history) == {
        "a.md": ("2021-01-02", "2023-03-04"),
        "new name.md": ("2021-01-02", "2022-02-03"),
        "ü/b.md": ("2022-02-03", "2022-02-03"),
    }


def test_a_changed_or_unknown_note_has_the_date_of_its_file(history: Path) -> None:
    for path in ("a.md", "untracked.md"):
        os.utime(write(history, path, "changed"), (1_500_000_000, 1_500_000_000))
    found = dates(history)
    assert found["a.md"] == ("2021-01-02", "2017-07-14")
    assert found["untracked.md"] == (None, "2017-07-14")
    assert found["ü/b.md"] == ("2022-02-03", "2022-02-03")


def test_a_touched_note_with_dos_line_ends_is_not_changed(vault: Path) -> None:
    repository = Repository(vault)
    write(vault, "a.md", "a\nb\n")
    repository.commit("2021-01-01")
    write(vault, "a.md", "a\r\nb\r\n")
    assert dates(vault)["a.md"] == ("2021-01-02", "2021-01-02")


def test_dates_are_remembered_for_a_commit(history: Path, tmp_path: Path) -> None:
    cache = FileStore(tmp_path / "cache")
    assert dates(history, cache=cache) == dates(history)
    before = dates(history, cache=cache)
    write(history, "c.md")
    Repository(history.parent).commit("2024-04-04")
    assert dates(history, cache=cache) == before | {"c.md": ("2024-04-05", "2024-04-05")}


def test_a_shallow_clone_is_said_out_loud_and_its_dates_are_not_invented(
    history: Path, tmp_path: Path
) -> None:
    url = f"file://{history.parent}"
    Repository(tmp_path)("clone", "-q", "--depth", "2", url, str(tmp_path / "clone"))
    found = scan(tmp_path / "clone" / "vault")
    assert only(found.problems).code == "dates-shallow"
    assert only(found.problems).severity == "info"
    assert dates(tmp_path / "clone" / "vault") == {
        "a.md": (None, "2023-03-04"),
        "new name.md": (None, None),
        "ü/b.md": (None, None),
    }


def test_a_commit_changes_the_fingerprint(history: Path) -> None:
    before = settled(history)
    write(history.parent, "elsewhere.md", "changed")
    Repository(history.parent).commit("2024-04-04")
    assert settled(history) != before


def test_a_repository_without_commits_and_a_folder_without_git_have_dates_of_files(vault: Path) -> None:
    os.utime(write(vault, "a.md"), (1_500_000_000, 1_500_000_000))
    assert dates(vault) == {"a.md": (None, "2017-07-14")}
    Repository(vault)
    assert dates(vault) == {"a.md": (None, "2017-07-14")}
    assert scan(vault).problems == ()
    assert dates(vault, dates="none") == {"a.md": (None, None)}


def test_a_repository_runs_nothing_by_being_asked_for_dates(vault: Path) -> None:
    repository = Repository(vault)
    write(vault, ".gitattributes", "*.md filter=evil diff=evil\n")
    write(vault, "a.md")
    repository.commit("2021-01-01")
    command = f"touch {vault.parent}/canary"
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process", "diff.evil.textconv"):
        repository("config", key, command)
    for key in ("diff.external", "core.pager", "core.sshCommand", "gpg.program"):
        repository("config", key, command)
    write(vault, "a.md", "changed")
    assert dates(vault)["a.md"][0] == "2021-01-02"
    assert not (vault.parent / "canary").exists()


# ---------------------------------------------------------------- publishing


def site(copies: dict[str, str] | None = None, /, **files: str) -> Site:
    """`a_b="x"` is the file `a/b.html`."""
    pages = {OutPath(name.replace("_", "/") + ".html"): text.encode() for name, text in files.items()}
    return Site(pages, {OutPath(path): origin for path, origin in (copies or {}).items()})


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "public"


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def beside(out: Path) -> set[str]:
    return {path.name for path in out.parent.iterdir()} - {"vault"}


def test_a_site_is_written_and_its_manifest_tells_what_it_is(vault: Path, out: Path) -> None:
    write(vault, "i.png", "image")
    published = publish(out, site({"img/i.png": "i.png"}, a="1", b_c="2"), vault)
    assert tree(out) == {"a.html": "1", "b/c.html": "2", "img/i.png": "image"}
    assert published.written == ("a.html", "b/c.html", "img/i.png")
    manifest = json.loads((out / MANIFEST).read_bytes())
    sums = subprocess.run(
        ["sha256sum", *manifest["files"]], cwd=out, capture_output=True, text=True, check=True
    ).stdout
    assert dict(reversed(line.split("  ")) for line in sums.splitlines()) == manifest["files"]
    assert manifest["tree_hash"] == published.tree_hash == tree_hash(manifest["files"])
    assert beside(out) == {"public"}


def test_only_what_changed_is_written_and_only_what_is_stale_is_removed(vault: Path, out: Path) -> None:
    publish(out, site(a="1", b="2", c_d="3"), vault)
    before = (out / "a.html").stat().st_ino
    published = publish(out, site(a="1", b="changed", e="4"), vault)
    assert published.written == ("b.html", "e.html")
    assert published.removed == ("c/d.html",)
    assert published.unchanged == 1
    assert (out / "a.html").stat().st_ino == before
    assert tree(out) == {"a.html": "1", "b.html": "changed", "e.html": "4"}
    assert not (out / "c").exists()


def test_nothing_is_touched_where_nothing_changed(vault: Path, out: Path) -> None:
    publish(out, site(a="1"), vault)
    before = out.stat()
    published = publish(out, site(a="1"), vault)
    assert (published.written, published.removed, published.unchanged) == ((), (), 1)
    assert (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_same_site_has_the_same_bytes_and_modes_under_any_umask(vault: Path, tmp_path: Path) -> None:
    seen = set()
    for i, mask in enumerate((0o000, 0o022, 0o077)):
        before = os.umask(mask)
        try:
            publish(tmp_path / str(i), site(b_c="2", a="1"), vault)
        finally:
            os.umask(before)
        places = [tmp_path / str(i), *sorted((tmp_path / str(i)).rglob("*"))]
        seen.add(
            tuple((place.stat().st_mode, place.read_bytes() if place.is_file() else b"") for place in places)
        )
    [[root, *rest]] = seen
    assert {oct(mode) for mode, _ in [root, *rest]} == {"0o40755", "0o100644"}


def test_a_file_that_somebody_changed_is_put_right(vault: Path, out: Path) -> None:
    publish(out, site(a="1", b="2"), vault)
    write(out, "a.html", "X")
    assert publish(out, site(a="1", b="2"), vault).written == ("a.html",)
    assert tree(out) == {"a.html": "1", "b.html": "2"}


def test_a_stale_file_that_somebody_changed_stays(vault: Path, out: Path) -> None:
    publish(out, site(a="1", b="2"), vault)
    write(out, "b.html", "mine now")
    assert publish(out, site(a="1"), vault).removed == ()
    assert tree(out) == {"a.html": "1", "b.html": "mine now"}


def test_what_the_generator_did_not_write_is_never_removed(vault: Path, out: Path) -> None:
    write(out, "CNAME", "example.org")
    write(out, ".git/objects/ab/cd", "object")
    write(out, "sub/own.txt", "own")
    (out / "empty/inner").mkdir(parents=True)
    (out / "link").symlink_to("/nowhere")
    inode = (out / "CNAME").stat().st_ino
    for files in ({"a": "1", "sub_b": "2"}, {"a": "3"}, {}):
        publish(out, site(**files), vault)
        assert (out / "CNAME").stat().st_ino == inode
        assert (out / ".git/objects/ab/cd").read_text() == "object"
        assert (out / "sub/own.txt").read_text() == "own"
        assert (out / "empty/inner").is_dir()
        assert (out / "link").readlink() == Path("/nowhere")
    assert "sub/b.html" not in tree(out)
    assert beside(out) == {"public"}


@pytest.mark.parametrize(("there", "new"), [("a.html", "a"), ("b", "b_c"), ("c.html/x", "c")])
def test_a_file_of_somebody_else_that_is_in_the_way_is_an_error(
    vault: Path, out: Path, there: str, new: str
) -> None:
    write(out, there, "theirs")
    with pytest.raises(PublishError, match="is in the way"):
        publish(out, site(**{new: "ours"}), vault)
    assert tree(out) == {there: "theirs"}


def test_a_file_that_is_there_already_with_the_same_bytes_becomes_ours(vault: Path, out: Path) -> None:
    write(out, "a.html", "1")
    assert publish(out, site(a="1"), vault).unchanged == 1
    publish(out, site(b="1"), vault)
    assert tree(out) == {"b.html": "1"}


def test_a_damaged_manifest_costs_nothing_but_care(vault: Path, out: Path) -> None:
    publish(out, site(a="1", b="2"), vault)
    for content in ("", "[]", '{"files": 3}', '{"files": {"../../x": "y", "a.html": 3}}'):
        write(out, MANIFEST, content)
        publish(out, site(a="1", b="2"), vault)
        assert tree(out) == {"a.html": "1", "b.html": "2"}


@pytest.mark.parametrize("where", [".", "..", "../..", "sub"])
def test_a_site_that_would_harm_the_notes_is_refused(vault: Path, where: str) -> None:
    write(vault, "sub/a.md")
    with pytest.raises(PublishError, match="notes"):
        publish(vault / where, site(a="1"), vault)
    assert [path.name for path in vault.rglob("*")] == ["sub", "a.md"]


def test_a_site_in_a_folder_of_its_own_within_the_vault_is_fine(vault: Path) -> None:
    for text in ("1", "2"):
        publish(vault / "_site", site(a=text), vault)
        assert tree(vault / "_site") == {"a.html": text}


def test_a_site_cannot_take_the_place_of_a_home_or_a_file(vault: Path, tmp_path: Path) -> None:
    for place in (Path("/"), Path("~").expanduser()):
        with pytest.raises(PublishError, match=r"it holds much else|the notes are in it"):
            publish(place, site(a="1"), vault)
    with pytest.raises(PublishError, match="that is a file"):
        publish(write(tmp_path, "file"), site(a="1"), vault)


def test_a_link_to_the_site_stays_a_link(vault: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    out.symlink_to("real")
    publish(out, site(a="1"), vault)
    assert out.is_symlink()
    assert tree(tmp_path / "real") == {"a.html": "1"}


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", "", "a/../../x", MANIFEST])
def test_a_path_that_leaves_the_site_is_refused(vault: Path, out: Path, path: str) -> None:
    with pytest.raises(PublishError):
        publish(out, Site({OutPath(path): b"x"}), vault)
    assert not out.exists()


@pytest.mark.parametrize(
    "origin", ["../secret", "link", ".hidden", "folder/../../secret", "public/x", "folder"]
)
def test_nothing_outside_the_vault_is_copied(vault: Path, out: Path, tmp_path: Path, origin: str) -> None:
    write(tmp_path, "secret", "canary")
    write(vault, ".hidden", "canary")
    write(vault, "public/x", "canary")
    (vault / "folder").mkdir()
    (vault / "link").symlink_to("../secret")
    with pytest.raises(PublishError, match="not published"):
        publish(out, site({"x": origin}), vault, exclude=[vault / "public"])
    assert not out.exists()


def test_an_asset_is_found_under_its_normalised_name(vault: Path, out: Path) -> None:
    write(vault, unicodedata.normalize("NFD", "Bücher/ü.png"), "image")
    found = scan(vault)
    publish(out, site({"x.png": found.assets[0].path}), vault, assets=found.assets)
    assert tree(out) == {"x.png": "image"}


def test_an_asset_that_changed_since_it_was_scanned_is_an_error_not_a_mixture(vault: Path, out: Path) -> None:
    write(vault, "a.png", "1")
    assets = scan(vault).assets
    write(vault, "a.png", "2")
    with pytest.raises(PublishError, match="changed"):
        publish(out, site({"a.png": "a.png"}), vault, assets=assets)
    assert not out.exists()


def test_a_full_disk_leaves_the_old_site_whole(vault: Path, out: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from generator.disk import PublishError, publish
from generator.model import Site
out, vault = map(Path, sys.argv[1:])
publish(out, Site({"a.html": b"1", "b.html": b"2"}), vault)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    publish(out, Site({"a.html": b"3", "b.html": b"x" * 2000}), vault)
except PublishError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(out), str(vault)], cwd=ROOT, capture_output=True, text=True
    )
    assert "the site was not written: file too large" in done.stdout, done.stderr
    assert tree(out) == {"a.html": "1", "b.html": "2"}
    assert beside(out) == {"public"}


def test_a_small_file_system_that_is_full_leaves_the_old_site_whole(vault: Path, tmp_path: Path) -> None:
    """On a real file system of 64 kB, in a mount namespace of its own (where the kernel grants one)."""
    place = tmp_path / "small"
    place.mkdir()
    program = """
import sys
from pathlib import Path
from generator.disk import PublishError, publish
from generator.model import Site
out, vault = Path(sys.argv[1], "site"), Path(sys.argv[2])
publish(out, Site({"a.html": b"1"}), vault)
try:
    publish(out, Site({f"{i}.html": b"x" * 4000 for i in range(40)}), vault)
except PublishError as error:
    print(error)
print((out / "a.html").read_text(), [path.name for path in out.parent.iterdir()])
"""
    script = f'mount -t tmpfs -o size=64k none {place} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", program]
    done = subprocess.run([*command, str(place), str(vault)], cwd=ROOT, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("this kernel grants no mount namespace")
    assert "no space left on device" in done.stdout, done.stderr
    assert "free some space" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 ['site']"


# ---------------------------------------------------------------- held against its manifest


UNVERIFIABLE = f"{MANIFEST}: missing or damaged; nothing can be verified"


def test_a_site_as_published_is_whole_and_verifies(vault: Path, out: Path) -> None:
    published = publish(out, site(a="1", b_c="2"), vault)
    write(out, "CNAME", "example.org")
    assert disk.is_whole(out, published.tree_hash)
    assert not disk.is_whole(out, "of another site")
    assert disk.verify(out) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda out: (out / "a.html").unlink(), "a.html: missing"),
        (lambda out: (out / "a.html").write_text("2"), "a.html: changed"),
        (lambda out: [(out / "a.html").unlink(), (out / "a.html").mkdir()], "a.html: missing"),
        (lambda out: [(out / "a.html").unlink(), (out / "a.html").symlink_to("x")], "a.html: not a file"),
        (lambda out: (out / MANIFEST).unlink(), UNVERIFIABLE),
        (lambda out: (out / MANIFEST).write_text("{}"), UNVERIFIABLE),
    ],
)  # fmt: skip
def test_a_site_that_was_changed_is_neither_whole_nor_verified(
    vault: Path, out: Path, change: Callable[[Path], object], said: str
) -> None:
    published = publish(out, site(a="1", b_c="2"), vault)
    time.sleep(0.01)
    change(out)
    assert not disk.is_whole(out, published.tree_hash)
    assert disk.verify(out) == (said,)


def test_a_manifest_that_was_made_to_fit_does_not_verify(vault: Path, out: Path) -> None:
    publish(out, site(a="1"), vault)
    manifest = json.loads((out / MANIFEST).read_bytes())
    manifest["files"]["a.html"] = sha256(str(write(out, "a.html", "2")))
    write(out, MANIFEST, json.dumps(manifest))
    assert len(disk.verify(out)) == 1


def test_a_site_that_a_loss_of_power_cut_short_is_not_whole(vault: Path, out: Path) -> None:
    done = publish(out, site(a="one", b="two"), vault)
    assert disk.is_whole(out, done.tree_hash)
    before = (out / "a.html").stat()
    (out / "a.html").write_bytes(b"")
    os.utime(out / "a.html", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not disk.is_whole(out, done.tree_hash)
    assert publish(out, site(a="one", b="two"), vault).written == ("a.html",)
    assert disk.is_whole(out, done.tree_hash)


def test_a_folder_that_is_no_site_is_told_apart(tmp_path: Path) -> None:
    assert not disk.is_whole(tmp_path / "nothing", "")
    assert "no such file" in disk.verify(tmp_path / "nothing")[0]


# ---------------------------------------------------------------- killed at any point

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from generator import disk
from generator.disk import stage
from generator.model import Site

out, vault = Path(sys.argv[1]), Path(sys.argv[2])
swap_by_renaming = sys.argv[3] == "rename"
if swap_by_renaming:
    stage._exchange = lambda one, other: False
chance = random.Random(int(sys.argv[4]))

def version(n):
    files = {f"{i % 4}/{i}.html": b"%d" % (n if i % 2 else n // 8) * 200 for i in range(24)}
    files[f"only-{n % 3}.html"] = b"%d" % n
    files["version"] = b"%d" % n
    return Site(files)

def is_whole(folder):
    n = int((folder / "version").read_bytes())
    expected = {path: data for path, data in version(n).files.items()}
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file() and path.name not in (disk.MANIFEST, "CNAME")
    }
    return found == expected and (folder / "CNAME").read_bytes() == b"mine"

def current():
    "Which site is there. A number of an inode alone would not tell: a new folder may get that of an old one."
    try:
        return out.stat().st_ino, (out / "version").read_bytes()
    except FileNotFoundError:
        return None

def poll(until):
    "Whether the site is whole. If it is exchanged while it is read, it is read again until then."
    while True:
        before = current()
        try:
            whole = is_whole(out)
        except FileNotFoundError:
            whole = False
        after = current()
        if after == before or time.monotonic() > until:
            return whole or after != before

def publish_on_and_on(n):
    "What is to be killed. It never returns, and ends by itself should its parent be gone."
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            n += 1
            disk.publish(out, version(n), vault, durable=False)
    finally:
        os._exit(1)

out.mkdir()
(out / "CNAME").write_bytes(b"mine")
disk.publish(out, version(0), vault, durable=False)
n, polls = 0, 0
for round in range(40):
    pid = os.fork()
    if pid == 0:
        publish_on_and_on(n)
    until = time.monotonic() + chance.uniform(0, 0.025)
    while time.monotonic() < until:
        assert swap_by_renaming or poll(until), "not whole while it was published"
        polls += 1
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert swap_by_renaming or poll(0), "not whole after it was killed"
    n = chance.randrange(1000)
    disk.publish(out, version(n), vault, durable=False)
    assert is_whole(out)
    left = {path.name for path in out.parent.iterdir()} - {out.name, vault.name}
    assert not left, left
print("polls", polls)
"""


@pytest.mark.parametrize("how", ["exchange", "rename"])
def test_a_build_killed_at_any_point_leaves_a_whole_site_and_the_next_one_cleans_up(
    vault: Path, out: Path, how: str
) -> None:
    command = [sys.executable, "-c", KILLED, str(out), str(vault), how, "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, start_new_session=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) >= 30


def test_a_site_put_aside_by_a_killed_build_comes_back(vault: Path, out: Path) -> None:
    publish(out, site(a="1"), vault)
    out.rename(out.parent / ".public.garden-old")
    publish(out.parent / ".public.garden-stage", site(a="half"), vault)
    assert publish(out, site(a="1"), vault).unchanged == 1
    assert beside(out) == {"public"}


def test_a_file_put_into_the_old_site_while_the_new_one_is_built_moves_over(vault: Path, out: Path) -> None:
    publish(out, site(a="1"), vault)
    write(out, "CNAME", "old")
    gone = out.parent / "gone"
    out.rename(gone)
    publish(out, site(a="2"), vault)
    write(gone, "new/file", "late")
    (gone / "link").symlink_to("x")
    _rescue(gone, out, ["CNAME"], {"a.html", "CNAME", MANIFEST})
    assert tree(out) == {"a.html": "2", "new/file": "late"}
    assert (out / "link").is_symlink()


# ---------------------------------------------------------------- one build at a time


def test_a_second_build_is_locked_out_until_the_first_ends(tmp_path: Path) -> None:
    with lock(tmp_path), pytest.raises(Locked, match="wait"), lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_a_process_that_is_killed_lets_go_of_its_lock(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from generator.disk import lock\n"
        "with lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Locked), lock(tmp_path):
            pass
        holder.kill()
    with lock(tmp_path):
        pass


def test_two_builds_into_one_site_are_kept_apart(vault: Path, out: Path) -> None:
    publish(out, site(a="1"), vault)
    with Stage(out, durable=False), pytest.raises(Locked):
        publish(out, site(a="2"), vault)
    assert tree(out) == {"a.html": "1"}
    publish(out, site(a="2"), vault)
    assert tree(out) == {"a.html": "2"}


# ---------------------------------------------------------------- pages on their way


def test_a_spool_gives_back_what_was_put_last_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    spool, plain = Spool(tmp_path / "cache"), {}
    for out, data in [("b", b"1"), ("a", b""), ("c", b"\0" * 70_000), ("b", b"two"), ("d", b"4")]:
        spool[OutPath(out)] = plain[OutPath(out)] = data
    del spool[OutPath("d")], plain[OutPath("d")]
    assert list(spool.items()) == list(plain.items())
    assert list(tmp_path.rglob("*")) == [tmp_path / "cache"]  # and no file is there to be left behind


def test_what_does_not_fit_on_the_disk_stays_in_memory(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from generator.disk import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
spool = Spool(Path(sys.argv[1]))
spool["small"], spool["large"], spool["last"] = b"s" * 600, b"l" * 5000, b"e" * 300
assert list(spool.items()) == [("small", b"s" * 600), ("large", b"l" * 5000), ("last", b"e" * 300)]
(Path(sys.argv[1]) / "file").touch()
nowhere = Spool(Path(sys.argv[1]) / "file" / "no")
nowhere["a"] = b"1"
assert nowhere["a"] == b"1"
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
