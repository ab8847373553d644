"""Program code inside of texts: where it is, whether a task wants some, whether it parses.

Python and JSON are parsed; of other languages only the brackets are counted.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from typing import Literal

from ..records import Row
from ..records.codes import DraftFault

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.M)
_KINDS = (
    r"function|method|class|program|script|(sql |database )?quer(y|ies)|statement|regex|"
    r"regular expression|algorithm|code|snippet|struct|interface|component|stylesheet|decorator|"
    r"(web ?)?page|loop|command|one-liner|module|api|endpoint|subroutine|procedure"
)
_WANTS = re.compile(
    r"\b(write|create|implement|develop|design|build|generate|construct|code|define|rewrite|"
    rf"refactor|program|give|provide|compose|complete|debug|fix)\b[^.?!\n]{{0,60}}\b({_KINDS})\b",
    re.IGNORECASE,
)
_PROGRAM = re.compile(r"\b(function|program|script|algorithm|regex|code)\b", re.IGNORECASE)
_ASKS_OTHERWISE = re.compile(
    r"^\s*(explain|describe|discuss|compare|summari[sz]e|why|when|would it|is it)\b|\boutput of\b|"
    r"\bhow (would|do|does|can|could|should|to)\b",
    re.IGNORECASE,
)
_LANGUAGE = re.compile(
    r"(?<!\w)(python|javascript|typescript|java|c\+\+|c#|sql|html|css|bash|shell|php|ruby|rust|"
    r"golang|kotlin|swift|perl|json|matlab|haskell|scala|node\.?js|jquery|react)(?!\w)",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"[;{}]\s*$|^\s*(def \w+\s*\(|class \w+|import \w|from \w+ import|return\b|#include|<\w+|"
    r"</\w+>|@\w+|\$ |#!|for \w+ in |while .+:$|if .+:$|(SELECT|UPDATE|INSERT|DELETE|CREATE|ALTER|"
    r"DROP|FROM|WHERE|ORDER BY|GROUP BY)\b)|^\s*(var|let|const|int|float|double|char|string|"
    r"public|private|static|void|function|func|fn|local|my|\$?\w+)\s.*[=({]\s*\S*|"
    r"^\s*[\w.$\[\]\"']+\s*[-+*/|]?=\s*\S|^\s*[\w.]+\(.*\)\s*$|^\s*/.+/[gimsuy]*\s*$|"
    r"=>|:=|&&|\|\||->"
)
_SENTENCE = re.compile(r"^[A-Z][a-z']*( [^\s=(){};]+){4,}.*[.:!?]$")
_STRING = re.compile(
    r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`",
    re.DOTALL,
)
_COMMENT = re.compile(
    r"/\*.*?\*/|<!--.*?-->|(?<!:)//[^\n]*|(?:^|\s)(?:#|--)[ \t!][^\n]*", re.DOTALL
)
# Looser than a line that is taken out of prose: most lines of a text must look like this.
_CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*(def|class|import|from|return|for|if|while|print|#|//|<|\}|SELECT|"
    r"public|private|var|let|const|function)\b|^\s+\w+.*[=(]|^\w+ ?= ?"
)
_BARE_PYTHON = re.compile(r"\s*(def \w+\(.*:|import \w+|from \w+ import .+)\s*(\n|$)")
_LIST_MARK = re.compile(r"^\s*[\w]{1,3}\)|[:;]-?[)(]", re.MULTILINE)
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\\n]){0,200}\"|'(?:\\.|[^'\\\n]){1,3}'")
_PAIRS = {")": "(", "]": "[", "}": "{"}

_CODE_WORD = re.compile(
    r"```|\b(code|function|program|script|python|java(script)?|c\+\+|c#|sql|query|html|css|bash|"
    r"regex|algorithm|compile|debug|api|golang|rust|php|ruby|kotlin|swift)\b",
    re.IGNORECASE,
)


def wants_code(task: str) -> bool:
    """Whether a task asks for program code: a verb of making with a kind of program."""
    if _ASKS_OTHERWISE.search(task):
        return False
    return bool(_WANTS.search(task) and (_LANGUAGE.search(task) or _PROGRAM.search(task)))


def is_code(row: Row) -> bool:
    """Whether a row is a programming task, for which there is a family of prompts."""
    return bool(_CODE_WORD.search(row.instruction))


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a text: language in lower case (or ""), and code."""
    return [(language.lower(), code) for language, code in _FENCE.findall(text)]


def prose(text: str) -> str:
    """A text without its fenced blocks and without its lines of code."""
    lines = _FENCE.sub("\n", text).splitlines()
    return "\n".join(line for line in lines if not _LINE.search(line))


def has_code(text: str) -> bool:
    """Whether a text has a fenced block, or a line that looks like code, or code in backticks."""
    return bool(blocks(text)) or "`" in text or any(map(_LINE.search, text.splitlines()))


def looks_like_code(text: str) -> bool:
    """Whether a text is mostly program code."""
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and sum(bool(_CODE_LINE.search(line)) for line in lines) >= 0.5 * len(lines)


def parses(text: str) -> bool:
    """Whether the Python and JSON of a response parse, fenced or bare; other text always does."""
    found = blocks(text)
    if not found and _BARE_PYTHON.match(text) and looks_like_code(text):
        found = [("python", text)]
    return all(_parsed(language, code) is not False for language, code in found)


def code_fault(task: str, answer: str) -> DraftFault | Literal[""]:
    """Name what is wrong with the code of an answer, "" if nothing is.

    Fenced code is taken as it is marked; bare code counts as Python or JSON where the task names
    that language and the whole answer is code.
    """
    if wants_code(task) and not has_code(answer):
        return DraftFault.NO_CODE
    found = blocks(answer)
    if not found and _all_code(answer):
        found = [("", answer)]
    named = {name.lower() for name in _LANGUAGE.findall(task)}
    for marked, code in found:
        language = marked or (named.copy().pop() if len(named) == 1 else "")
        if not _holds(language, code):
            return DraftFault.CODE_DOES_NOT_PARSE
    return ""


def _all_code(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    if any(_SENTENCE.search(line) for line in lines):
        return False
    return bool(lines) and all(_LINE.search(line) or line[0] in " \t)]}#/" for line in lines)


def _holds(language: str, code: str) -> bool:
    parsed = _parsed(language, code)
    if parsed is not None:
        return parsed
    return language in ("bash", "shell", "sh", "zsh", "text", "regex") or balanced(code)


def _parsed(language: str, code: str) -> bool | None:
    """Whether code parses, None where there is no parser for its language."""
    if language in ("python", "py", "python3"):
        return _is_python(code)
    return _is_json(code) if language == "json" else None


def _is_python(code: str) -> bool:
    # A session at the prompt is Python, too.
    shown = re.sub(r"^(>>>|\.\.\.) ?", "", code, flags=re.M) if code.lstrip()[:3] == ">>>" else ""
    for text in (code, shown):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an invalid escape in the code
                ast.parse(textwrap.dedent(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            if shown and text is code:
                continue
            return False
        return True
    return False


def _is_json(code: str) -> bool:
    try:
        json.loads(code)
    except (ValueError, RecursionError):
        return False
    return True


def balanced(code: str) -> bool:
    """Whether each bracket of code has its partner, outside of strings and comments."""
    return _closes(_COMMENT.sub(" ", _STRING.sub(" ", code))) or _closes(code)


def closed(text: str) -> bool:
    """Whether brackets and double quotes of any text are even, quotations and list marks left out.

    Prose nests less strictly than code: only their number counts.
    """
    bare = _QUOTED.sub("", _LIST_MARK.sub("", text))
    pairs = all(bare.count(a) == bare.count(b) for a, b in ("()", "[]", "{}"))
    return pairs and bare.count('"') % 2 == 0


def _closes(code: str) -> bool:
    waiting: list[str] = []
    for mark in code:
        if mark in "([{":
            waiting.append(mark)
        elif mark in _PAIRS and (not waiting or waiting.pop() != _PAIRS[mark]):
            return False
    return not waiting
