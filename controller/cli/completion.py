"""Puts the script that completes `edgewatt` where a shell finds it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from typer.completion import get_completion_script  # type: ignore[attr-defined]  # its home has a private name

from broker.errors import InvalidError, StorageError

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)

_BASH = """\
_edgewatt_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" words current kept at
    read -ra words <<< "$line"
    current="${line##* }"
    at=$(( ${#words[@]} - (${#current} > 0) ))
    kept="${current%"${current##*[=:]}"}"  # bash begins a word behind each = and :
    local IFS=$'\\n'
    COMPREPLY=( $(_EDGEWATT_COMPLETE=complete_bash COMP_WORDS="$line" COMP_CWORD=$at "$1" 2>/dev/null) )
    COMPREPLY=( "${COMPREPLY[@]#"$kept"}" )
}
complete -o default -F _edgewatt_completion edgewatt
"""
_READS_IN_BASH = '[ -f "{0}" ] && . "{0}"'
_READS_IN_ZSH = '(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}; [ -f "{0}" ] && . "{0}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file that will hold `content`."""

    path: Path
    what: Literal["written", "a line added"]
    content: str

    @property
    def document(self) -> dict[str, Any]:
        """The change as JSON."""
        return {"path": str(self.path), "change": self.what}


def script(shell: Shell) -> str:
    """Return the script that a shell reads."""
    if shell == "bash":
        return _BASH
    return get_completion_script(prog_name="edgewatt", complete_var="_EDGEWATT_COMPLETE", shell=shell) + "\n"


def shell_of_user(environment: Mapping[str, str] = os.environ) -> Shell:
    """Return the shell that $SHELL names. Raises InvalidError for another one."""
    name = Path(environment.get("SHELL", "")).name
    for shell in SHELLS:
        if name == shell:
            return shell
    said = f"there is no completion for '{name}'" if name else "$SHELL does not say which shell you use"
    raise InvalidError(said, code="usage", hint=f"--shell {'|'.join(SHELLS)}")


def changes(shell: Shell, environment: Mapping[str, str] = os.environ) -> list[Change]:
    """Return what has to change so that `shell` completes; nothing where it does. Raises StorageError."""
    home = Path(environment.get("HOME") or Path.home())
    if shell == "fish":
        configuration = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        return _written(configuration / "fish" / "completions" / "edgewatt.fish", script(shell))
    file = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "edgewatt" / f"completion.{shell}"
    if shell == "bash":
        return [*_written(file, script(shell)), *_read(home / ".bashrc", _READS_IN_BASH.format(file))]
    start = Path(environment.get("ZDOTDIR") or home) / ".zshrc"
    return [*_written(file, script(shell)), *_read(start, _READS_IN_ZSH.format(file))]


def apply(wanted: Iterable[Change]) -> None:
    """Write what has to change. Raises StorageError."""
    for change in wanted:
        try:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            change.path.write_text(change.content, "utf-8")
        except OSError as error:
            raise StorageError(
                f"cannot write {change.path}: {error.strerror}", hint="`edgewatt completion show` prints the script"
            ) from None


def _written(path: Path, content: str) -> list[Change]:
    return [] if _content(path) == content else [Change(path=path, what="written", content=content)]


def _read(path: Path, line: str) -> list[Change]:
    before = _content(path)
    if line in before.splitlines():
        return []
    between = "" if not before or before.endswith("\n") else "\n"
    return [Change(path=path, what="a line added", content=f"{before}{between}{line}\n")]


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise StorageError(f"cannot read {path}: {why}", hint="`edgewatt completion show` prints the script") from None
