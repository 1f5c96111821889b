"""`completion SHELL`: a script that makes a shell complete commands and options, as `arguments` has them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from generator import config
from generator.cli.arguments import COMMANDS, Arguments, parser

_NAMES = ("garden", "build.py")


@dataclass(frozen=True, slots=True)
class _Option:
    """An option: its spelling, what it means, what it takes (`""`: nothing), and the choices there are."""

    flag: str
    help: str
    takes: str
    choices: tuple[str, ...]


def run(asked: Arguments) -> int:
    """Print the script; gives the exit code."""
    shell = asked.names[0] if len(asked.names) == 1 else ""
    if shell not in _SHELLS:
        raise config.ConfigError(f"completion takes one of {', '.join(_SHELLS)}: completion bash")
    sys.stdout.write(_SHELLS[shell](_options()))
    return 0


def _options() -> list[_Option]:
    found = []
    for action in parser()._actions:
        flags = [flag for flag in action.option_strings if flag.startswith("--")]
        takes = _takes(action)
        choices = tuple(map(str, action.choices or ()))
        found += [_Option(flag, (action.help or "").replace("'", "’"), takes, choices) for flag in flags]
    return found


def _takes(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return str(action.metavar or (action.choices and "WORD") or "WORD")


def _bash(options: list[_Option]) -> str:
    cases = "".join(
        f'        {one.flag}) COMPREPLY=($(compgen {_generated(one)} -- "$word")); return ;;\n'
        for one in options
        if one.takes
    )
    return f"""\
# completion of notes-garden for bash: eval "$(build.py completion bash)"
_garden() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    COMPREPLY=()
    case "$before" in
{cases}        completion) COMPREPLY=($(compgen -W "{" ".join(_SHELLS)}" -- "$word")); return ;;
    esac
    if [[ "$word" == -* ]]; then
        COMPREPLY=($(compgen -W "{" ".join(one.flag for one in options)}" -- "$word"))
    elif [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W "{" ".join(COMMANDS)}" -- "$word"))
    else
        compopt -o filenames 2>/dev/null
        local IFS=$'\\n'
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -F _garden {" ".join((*_NAMES, "./build.py"))}
"""


def _generated(one: _Option) -> str:
    """What bash's `compgen` is to list for the value of an option."""
    if one.choices:
        return f'-W "{" ".join(one.choices)}"'
    return {"DIR": "-d", "FILE": "-f"}.get(one.takes, '-W ""')


def _zsh(options: list[_Option]) -> str:
    commands = "\n".join(f"        '{name}:{_colons(meaning)}'" for name, meaning in COMMANDS.items())
    specs = " \\\n".join(f"        '{one.flag}[{_brackets(one.help)}]{_valued(one)}'" for one in options)
    return f"""\
#compdef {" ".join(_NAMES)}
# completion of notes-garden for zsh: eval "$(build.py completion zsh)"
_garden() {{
    local -a commands=(
{commands}
    )
    _arguments \\
{specs} \\
        '1:command:{{_describe command commands}}' \\
        '*:note:_files'
}}
compdef _garden {" ".join(_NAMES)}
"""


def _valued(one: _Option) -> str:
    if not one.takes:
        return ""
    known = {"DIR": "_files -/", "FILE": "_files"}.get(one.takes, " ")
    return f":{_colons(one.takes.lower())}:{'(' + ' '.join(one.choices) + ')' if one.choices else known}"


def _colons(text: str) -> str:
    return text.replace("'", "’").replace(":", "\\:")


def _brackets(text: str) -> str:
    return text.replace("[", "(").replace("]", ")").replace(":", "\\:")


def _fish(options: list[_Option]) -> str:
    lines = ["# completion of notes-garden for fish: build.py completion fish | source"]
    for name in _NAMES:
        for command, meaning in COMMANDS.items():
            said = meaning.replace("'", "’")
            lines.append(f"complete -c {name} -n __fish_use_subcommand -f -a {command} -d '{said}'")
        shells = f"complete -c {name} -n '__fish_seen_subcommand_from completion' -f -a '{' '.join(_SHELLS)}'"
        lines.append(shells)
        for one in options:
            value = {"": "", "DIR": " -r -F", "FILE": " -r -F"}.get(one.takes, " -x")
            listed = f" -a '{' '.join(one.choices)}'" if one.choices else ""
            lines.append(f"complete -c {name} -l {one.flag[2:]}{value}{listed} -d '{one.help}'")
    return "\n".join(lines) + "\n"


_SHELLS: dict[str, Callable[[list[_Option]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
