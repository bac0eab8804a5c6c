"""Answering a shell that asks what may come next: on stdout what may, and nothing else, whatever goes wrong. No torch."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

VARIABLE = "_PEFTCLI_COMPLETE"  # how the scripts of `peftcli --show-completion` ask
# What bash ends a word at, by default, and the program does not: `layernorm:layers=3` are five words to bash.
_BREAKS = re.compile(r"[:=]+")
_SPECIAL = re.compile(r"([^\w@%+=:,./~-])")


def asking() -> bool:
    """Whether a shell asks, instead of a user who wants a command to run or the script for a shell."""
    return os.environ.get(VARIABLE, "").startswith("complete_")


def answer(app: Callable[..., Any]) -> NoReturn:
    """Print what may come next, and exit; with another code than 0 where there is nothing to say."""
    code: Any = 1
    said = io.TextIOWrapper(io.BytesIO(), "utf-8")
    prefix = ""
    # Whatever is printed stands in the middle of the line that is being typed, and an error is of no help there: a recipe
    # that cannot be read is told by the command itself. So what goes wrong means that nothing is offered.
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        try:
            if os.environ[VARIABLE] == "complete_bash":
                prefix = _join_words()
            app(prog_name="peftcli", complete_var=VARIABLE, standalone_mode=False)
        except SystemExit as ended:
            code = ended.code
    said.seek(0)
    text = said.read() if not code else ""
    if os.environ[VARIABLE] == "complete_bash":
        text = "".join(_SPECIAL.sub(r"\\\1", cut(line, prefix)) + "\n" for line in text.splitlines())
    sys.stdout.write(text)
    sys.stdout.flush()
    sys.exit(code)


def _join_words() -> str:
    """Put bash's words together where it says them; return what of the last one bash keeps, as `cut` takes it."""
    words, at, prefix = join(os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"]))
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(at)
    return prefix


def join(words: list[str], current: int) -> tuple[list[str], int, str]:
    """Put words together that bash parted at `:` and `=`; return them up to the current one, its number, and its head.

    The head is what of the current word bash takes for words before it, and does not replace.
    """
    joined = words[:1]
    head = ""
    for at, word in enumerate([*words, ""][1 : current + 1], 1):
        before = words[at - 1]
        sign = _BREAKS.fullmatch(word) is not None
        # Behind a sign the next option may follow: `--set epochs= --only`.
        if at > 1 and (sign or (_BREAKS.fullmatch(before) and not word.startswith("--"))):
            # At a sign itself bash completes what comes behind it.
            head = joined[-1] + (word if sign else "")
            joined[-1] += word
        else:
            head = ""
            joined.append(word)
    return joined, len(joined) - 1, head


def cut(line: str, head: str) -> str:
    """Return what of an offer stands behind the part that bash keeps; of `--task=rte` the option is no part of offers."""
    kept = head.partition("=")[2] if head.startswith("--") else head
    return line.removeprefix(kept)
