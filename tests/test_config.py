"""Config: where settings come from, whose they are, and what a mistake in them is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.config import SETTINGS, Config, ConfigError, Loaded, Options, load
from generator.memo import digest


@pytest.fixture
def garden(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    return tmp_path


def toml(garden: Path, text: str, **more: Any) -> Loaded:
    (garden / "garden.toml").write_text(text, encoding="utf-8")
    return load(None, None, home=garden, **more)


def mistake(garden: Path, text: str = "", **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        toml(garden, text, **more)
    return str(caught.value)


def test_without_a_file_everything_has_a_default(garden: Path) -> None:
    loaded = load(None, None, home=garden)
    assert loaded.config == Config()
    assert loaded.options == Options()
    assert loaded.config.cells.plain == "show"
    assert loaded.config.html == "sanitize"
    assert loaded.file is None
    assert loaded.notes_dir == garden / "notes"
    assert loaded.out_dir == garden / "_site"
    assert loaded.cache_dir == garden / ".cache" / "garden"


def test_every_setting_of_the_file_reaches_the_config(garden: Path) -> None:
    loaded = toml(
        garden,
        """
title = "My garden"
description = "Notes"
base_url = "https://example.org/notes"
lang = "pt-BR"
author = "Ada"
html = "trusted"
dates = "none"
ignore = ["drafts/**"]
out = "public"

[cells]
plain = "run"
executor = "jupyter"
timeout = 2.5
note_timeout = 60
memory_mb = 512
gradcheck = "report"

[limits]
note_bytes = 10
nesting = 11
embed_depth = 12
""",
    )
    config = loaded.config
    assert (config.title, config.description, config.author) == ("My garden", "Notes", "Ada")
    assert (config.base_url, config.lang, config.html) == (
        "https://example.org/notes/",
        "pt-BR",
        "trusted",
    )
    assert (config.dates, config.ignore) == ("none", ("drafts/**",))
    assert (config.cells.plain, config.cells.timeout) == ("run", 2.5)
    assert (config.cells.note_timeout, config.cells.memory_mb) == (60.0, 512)
    assert config.cells.gradcheck == "report"
    limits = config.limits
    assert (limits.note_bytes, limits.nesting, limits.embed_depth) == (10, 11, 12)
    assert loaded.options.executor == "jupyter"
    assert loaded.out_dir == garden / "public"


def test_a_config_can_be_part_of_a_key() -> None:
    assert digest(Config()) != digest(Config(title="Other"))


def test_the_environment_overrides_the_file_and_the_command_line_both(garden: Path) -> None:
    text = 'lang = "aa"\nauthor = "file"\n[cells]\nexecutor = "jupyter"\ntimeout = 1\n'
    environ = {"GARDEN_LANG": "bb", "GARDEN_CELLS_TIMEOUT": "2.5", "GARDEN_JOBS": "3", "GARDEN_STRICT": "yes"}
    loaded = toml(garden, text, environ=environ, flags={"jobs": "4", "executor": "zygote", "format": None})
    assert loaded.config.author == "file"
    assert loaded.config.lang == "bb"
    assert loaded.config.cells.timeout == 2.5
    assert loaded.options == Options(jobs=4, strict=True, executor="zygote")


def test_every_setting_on_the_command_line_has_a_variable_named_like_it() -> None:
    for setting in SETTINGS:
        if setting.flag:
            assert setting.variable == "GARDEN_" + setting.flag[2:].replace("-", "_").upper()
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)


def test_strict_is_the_default_under_ci_and_can_be_turned_off(garden: Path) -> None:
    assert load(None, None, {}, {"CI": "true"}, garden).options.strict
    assert not load(None, None, {}, {"CI": "false"}, garden).options.strict
    assert not load(None, None, {"strict": False}, {"CI": "true"}, garden).options.strict
    assert not load(None, None, {}, {"CI": "true", "GARDEN_STRICT": "0"}, garden).options.strict


# ---------------------------------------------------------------- whose settings


def test_the_file_in_the_folder_of_notes_comes_before_the_one_beside_it(garden: Path) -> None:
    (garden / "garden.toml").write_text('title = "beside"')
    assert load(None, garden / "notes").config.title == "beside"
    (garden / "notes" / "garden.toml").write_text('title = "inside"')
    loaded = load(None, garden / "notes")
    assert loaded.config.title == "inside"
    assert loaded.notes_dir == garden / "notes"


def test_the_file_named_comes_before_every_other(garden: Path) -> None:
    (garden / "garden.toml").write_text('title = "beside"')
    (garden / "elsewhere").mkdir()
    other = garden / "elsewhere" / "other.toml"
    other.write_text('title = "other"')
    loaded = load(other, garden / "notes")
    assert loaded.config.title == "other"
    assert loaded.out_dir == garden / "elsewhere" / "_site"


def test_a_folder_without_a_file_takes_none_from_the_garden_it_is_built_from(garden: Path) -> None:
    (garden / "garden.toml").write_text('title = "home"\n[cells]\nplain = "run"')
    vault = garden / "deep" / "vault"
    vault.mkdir(parents=True)
    loaded = load(None, vault, home=garden)
    assert loaded.config == Config()
    assert loaded.file is None


def test_a_strangers_folder_beside_a_garden_is_not_allowed_what_the_garden_is(garden: Path) -> None:
    (garden / "garden.toml").write_text('[cells]\nplain = "run"')
    (garden / "stranger").mkdir()
    assert load(None, garden / "stranger").config.cells.plain == "show"
    assert load(None, garden / "notes").config.cells.plain == "run"
    (garden / "garden.toml").write_text('notes = "stranger"\n[cells]\nplain = "run"')
    assert load(None, garden / "stranger").config.cells.plain == "run"
    assert load(None, garden / "notes").config.cells.plain == "show"


def test_a_file_beside_the_only_folder_of_notes_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    (tmp_path / "garden.toml").write_text('title = "mine"')
    assert load(None, tmp_path / "vault").config.title == "mine"


def test_a_vault_without_a_file_gets_no_cache_inside(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    one = load(None, vault, {}, {"XDG_CACHE_HOME": str(tmp_path / "x")})
    two = load(None, vault, {}, {"HOME": str(tmp_path / "home")})
    three = load(None, vault, {}, {})
    assert one.cache_dir.parent == tmp_path / "x" / "garden"
    assert two.cache_dir.parent == tmp_path / "home" / ".cache" / "garden"
    assert three.cache_dir.parent == tmp_path / ".cache" / "garden"
    assert one.cache_dir.name == two.cache_dir.name == three.cache_dir.name
    assert three.out_dir == tmp_path / "_site"


def test_folders_are_taken_from_flags_and_environment_relative_to_the_working_directory(
    garden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(garden)
    loaded = load(None, None, {"out": Path("a/../site")}, {"GARDEN_NOTES": "notes", "GARDEN_CACHE": "c"})
    assert (loaded.notes_dir, loaded.out_dir, loaded.cache_dir) == (
        garden / "notes",
        garden / "site",
        garden / "c",
    )


def test_the_working_directory_decides_nothing_else(garden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (garden / "garden.toml").write_text('title = "home"')
    here = load(None, None, home=garden)
    monkeypatch.chdir("/")
    assert load(None, None, home=garden) == here


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('titel = "x"', 1, "unknown key titel; did you mean title?"),
        ('\n[cells]\nplian = "run"', 3, "unknown key cells.plian; did you mean cells.plain?"),
        ("[cell]\ntimeout = 1", 1, "unknown key cell; did you mean cells?"),
        ("zzz = 1", 1, "unknown key zzz"),
        ("[cells]\n\ntimeout = true", 3, "cells.timeout must be a number of seconds above 0, not true"),
        ("[cells]\nmemory_mb = 1.5", 2, "cells.memory_mb must be a whole number, 64 or more, not 1.5"),
        ("[cells]\ngradcheck = 3", 2, 'cells.gradcheck must be true, false or "report", not 3'),
        ("# html = 1\nhtml = 'raw'", 2, 'html must be "sanitize" or "trusted", not "raw"'),
        ('base_url = "javascript:alert(1)"', 1, "base_url must be an address such as"),
        ('lang = "en us"', 1, "lang must be a language tag"),
        ("title = 3", 1, "title must be one line of text, not 3"),
        ("title = 'a'\nignore = 'x'\n", 0, ""),
        ("strict = true", 1, "strict is not kept in a file; try --strict or GARDEN_STRICT"),
        ("cells = 3", 1, "unknown key cells"),
        ("[limits]\nnote_bytes = 0", 2, "limits.note_bytes must be a whole number, 1 or more, not 0"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(garden: Path, text: str, line: int, said: str) -> None:
    if not said:
        assert toml(garden, text).config.ignore == ("x",)
        return
    message = mistake(garden, text)
    assert message.startswith(f"{garden / 'garden.toml'}:{line}: ")
    assert said in message


def test_a_file_that_is_no_toml_is_told_with_its_line(garden: Path) -> None:
    assert "line 2" in mistake(garden, "title = 'a'\n= 3")


def test_a_file_that_is_no_utf8_is_told(garden: Path) -> None:
    (garden / "garden.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(ConfigError, match="not valid UTF-8 at byte 9"):
        load(None, None, home=garden)


def test_a_byte_order_mark_and_dos_line_ends_are_fine(garden: Path) -> None:
    (garden / "garden.toml").write_bytes(b'\xef\xbb\xbftitle = "x"\r\nlang = "de"\r\n')
    assert load(None, None, home=garden).config.lang == "de"


def test_a_misspelt_variable_or_flag_is_told_with_the_nearest(garden: Path) -> None:
    assert "did you mean GARDEN_TITLE?" in mistake(garden, environ={"GARDEN_TITEL": "x"})
    assert "did you mean no_exec?" in mistake(garden, flags={"no_exc": True})
    assert "--jobs must be a whole number" in mistake(garden, flags={"jobs": "many"})
    assert "GARDEN_FORMAT must be" in mistake(garden, environ={"GARDEN_FORMAT": "xml"})
    assert "--executor must be" in mistake(garden, flags={"executor": "tcp://nowhere"})


def test_variables_of_other_programs_are_left_alone(garden: Path) -> None:
    assert toml(garden, "", environ={"GARDEN_KUBECONFIG": "x", "TITLE": "y"}).config == Config()


def test_options_that_contradict_each_other_are_refused(garden: Path) -> None:
    assert "--frozen and --fresh" in mistake(garden, flags={"fresh": True, "frozen": True})
    assert "--no-exec" in mistake(garden, flags={"no_exec": True, "frozen": True})


def test_a_missing_folder_of_notes_is_told_with_the_nearest(garden: Path) -> None:
    with pytest.raises(ConfigError, match=r"note does not exist; did you mean notes\?"):
        load(None, garden / "note")


def test_a_missing_file_that_was_named_is_an_error(garden: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(garden / "other.toml", None)
    with pytest.raises(ConfigError, match="is a folder"):
        load(garden, None)
