"""Tab completion of `%codex_run`, of the values of its options, and of the other magics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.completer import SimpleCompletion, context_matcher

from codex_nb.kernel.config import ASKS, SANDBOXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.kernel.magics import CodexMagics

_LINE = re.compile(r"(?:^|=)\s*%%?codex_run\s+(?P<rest>.*)$")
_SEED_LINE = re.compile(r"(?:^|=)\s*%codex_seed\s+(?P<rest>.*)$")
_HOSTS_LINE = re.compile(r"(?:^|=)\s*%codex_hosts\s+(?P<rest>.*)$")
_VALUE = re.compile(r"(?P<option>--?[a-z][a-z-]*)(?:\s+|=)(?P<value>[^\s=]*)$")
_NOTHING: SimpleMatcherResult = {"completions": [], "suppress": False}


def add_completion(shell: InteractiveShell, magics: CodexMagics) -> Callable[[], None]:
    """Complete the options in this shell, and return what stops it."""

    @context_matcher(identifier="codex_nb.options")  # type: ignore[untyped-decorator]  # IPython has no types
    def match(context: CompletionContext) -> SimpleMatcherResult:
        line = context.line_with_cursor[: context.cursor_position]
        if (found := _LINE.search(line)) is not None:
            word, candidates = candidates_for(found["rest"], magics)
        elif (found := _HOSTS_LINE.search(line)) is not None:
            from codex_nb.kernel.hosts import candidates_for_hosts

            word, candidates = candidates_for_hosts(found["rest"], magics.defaults)
        elif (found := _SEED_LINE.search(line)) is not None:
            from codex_nb.kernel.seeds import candidates_for_seed

            word, candidates = candidates_for_seed(found["rest"], magics.defaults)
        else:
            return _NOTHING
        fitting = [text for text in candidates if text.startswith(word)]
        return {
            "completions": [SimpleCompletion(text, type="option") for text in fitting],
            "matched_fragment": word,
            "suppress": bool(fitting),
            "ordered": True,
        }

    matchers = shell.Completer.custom_matchers
    matchers.append(match)
    return lambda: matchers.remove(match)


def candidates_for(rest: str, magics: CodexMagics) -> tuple[str, list[str]]:
    """The word at the end of what was typed after the magic, and what could stand there."""
    value = _VALUE.search(rest)
    if value is not None and (found := _values(value["option"], magics)) is not None:
        return value["value"], sorted(found)
    word = rest.rpartition(" ")[2]
    if not word.startswith("-"):
        return word, []
    actions = magics.codex_run.parser._actions  # noqa: SLF001 - argparse has no public list of its options
    return word, sorted(name for action in actions for name in action.option_strings)


def _values(option: str, magics: CodexMagics) -> Iterable[str] | None:
    match option:
        case "--sandbox":
            return SANDBOXES
        case "--ask":
            return ASKS
        case "--effort":
            from codex_nb.sessions.spec import EFFORTS

            return EFFORTS
        case "--replay":
            from codex_nb.replay.scenario import scenario_names

            return (*scenario_names(), *_files(".toml"), *_files(".jsonl"))
        case "--host":
            from codex_nb.kernel.host_names import host_names

            return host_names(magics.defaults.hosts)
        case "--name":
            from codex_nb.kernel.start import session_names

            return session_names(magics.defaults)
        case "--seed":
            from codex_nb.kernel.seeds import seed_names

            return seed_names(magics.defaults)
        case "--cwd" | "--allow":
            return [f"{path.name}/" for path in _listed() if path.is_dir()]
    return None


def _files(suffix: str) -> list[str]:
    return [path.name for path in _listed() if path.suffix == suffix]


def _listed() -> list[Path]:
    try:
        return [path for path in Path.cwd().iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
