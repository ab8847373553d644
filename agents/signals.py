"""Cheap signals of a row's quality: pure functions of its text."""

from __future__ import annotations

import re
import zlib
from typing import Literal

from ..records import Row
from ..records.codes import Reason
from .code import closed, looks_like_code, parses
from .texts import distinct_trigrams, normalised, script, words

_HELP = (
    r"(help(?! but\b)|assist|answer|provide|fulfil|comply|complete|do (this|that)|engage|respond)"
)
_REFUSAL = re.compile(
    rf"\b(as an ai( language)? model|i('m|’m| am) sorry,? but i|i apologi[sz]e,? but i|"
    rf"(i |i'm |i’m |i am )(cannot|can't|can’t|unable to|not able to|won't|won’t) {_HELP})|"
    r"^(抱歉|对不起|很抱歉).{0,12}(无法|不能)|作为(一个|一名)?(人工智能|AI|语言模型)",
    re.IGNORECASE,
)
_LEFTOVER = re.compile(
    r"<\|[a-z_]{2,20}\|>|\[/?INST\]|<</?SYS>>|</s>\s*(<s>|$)|"
    r"^#{2,3} ?(instruction|response|input|output|human|assistant|user)s?:?\s*$|"
    r"<(start|end)_of_turn>|^\{\{ ?[a-z_]+ ?\}\}$",
    re.IGNORECASE | re.MULTILINE,
)
_UNREADABLE = re.compile(r"[\ufffd\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
# UTF-8 that was read as a Western single-byte encoding.
_MOJIBAKE = re.compile(r"[ÂÃ][\u0080-\u00bf\u20ac\u2122\u0152-\u0192]|â€|ï»¿|Ð[\u0080-\u00bf°-¿]")
_RUN = re.compile(r"([^\W\d_])\1{24,}|\b([^\W\d]+)(\W+\2\b){11,}", re.IGNORECASE)
_BLANK = re.compile(r"[\s.…]*")
_LANGUAGE = re.compile(
    r"translat|\b[A-Z][a-z]+(ese|ish|ian|ean|bic|rew|ndi|ali)\b|\b(Greek|Thai|Urdu)\b"
)
# A place left open for the content itself; [Your Name] in a letter is what a template says.
_CONTENT = r"(answer|response|solution|output|content|text|explanation|code|description)s?"
_PLACEHOLDER = re.compile(
    rf"\b(todo|fixme|tbd)\b:? *(add|insert|write|fill in|provide|complete)? *(the |your )?"
    rf"{_CONTENT}\b|"
    rf"[\[<{{(] *(insert|add|fill in|put|write|enter|your)( your| the| an?)?( \w+)? {_CONTENT}"
    rf"( goes)?( here)? *[\]>}})]|^\W{{0,3}}lorem ipsum dolor\b",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS_FOR_IT = re.compile(
    r"placeholder|template|lorem|todo|dummy|skeleton|stub|html|css|fill in|blank", re.IGNORECASE
)
_CLEAN_END = tuple(".!?:;)]}>\"'`”’»…。！？；：”」』）》】|*/=~।॥؟۔።")
_OPEN_END = re.compile(r"([,，、(\[{=（]|\b(the|a|an|of|to|and|or|with|for|is|are|which|from))\s*$")
_NUMBER = re.compile(r"\d+")


def is_refusal(text: str) -> bool:
    """Whether a response declines to answer."""
    return bool(_REFUSAL.search(text[:300]))


def ends_cleanly(text: str) -> bool:
    """Whether a response ends like a finished one: by punctuation, or short, or as code."""
    end = text.rstrip()
    if not end or text.count("```") % 2 or _OPEN_END.search(end[-20:]):
        return False
    last = end.splitlines()[-1]
    # A number, a name or a short list item needs no full stop; code ends as it likes; a script
    # without spaces is not held to one.
    return (
        end.endswith(_CLEAN_END)
        or len(words(last)) <= 6
        or script(last) not in ("LATIN", "CYRILLIC", "GREEK")
        or looks_like_code(text)
    )


def is_garbled(text: str) -> bool:
    """Whether a text holds characters that no one wrote: control signs, a wrong encoding."""
    strange = len(_UNREADABLE.findall(text)) + len(_MOJIBAKE.findall(text))
    return strange >= 2 or strange > 0.02 * len(text)


def has_leftovers(text: str, task: str = "") -> bool:
    """Whether a response holds tokens or headings of a prompt, which its task does not."""
    found = _LEFTOVER.search(text)
    return found is not None and found.group().strip() not in task


def density(text: str) -> float:
    """Share of its size that a text keeps when it is compressed, 0 to 1; 1 for a short one."""
    size = len(data := text.encode("utf-8", "surrogatepass"))
    return min(1.0, len(zlib.compress(data, 1)) / size) if size >= 200 else 1.0


def repeats(text: str) -> bool:
    """Whether a text is stuck: a word or letter in a row, or few distinct phrases over and over."""
    return bool(_RUN.search(text)) or (
        len(text) >= 200 and distinct_trigrams(text) < 0.4 and density(text) < 0.2
    )


def is_in_another_script(row: Row) -> bool:
    """Whether a response is in a script of which its task has no letter and names no language.

    Latin letters are at home everywhere: in code, formulas and names.
    """
    written = script(row.output)
    if written in ("", "LATIN") or _LANGUAGE.search(row.task):
        return False
    return written not in {script(c) for c in row.task if c.isalpha() and not c.isascii()}


def is_unfilled(row: Row) -> bool:
    """Whether a response leaves a placeholder where its content belongs, and was not asked to."""
    return bool(_PLACEHOLDER.search(row.output)) and not _ASKS_FOR_IT.search(row.task)


def is_empty(text: str) -> bool:
    """Whether a response has nothing but space and dots."""
    return bool(_BLANK.fullmatch(text))


def echoes(row: Row) -> bool:
    """Whether a response says its task again and nothing else."""
    said = normalised(row.output)
    asked = {normalised(text) for text in (row.instruction, row.task)}
    if len(words(said)) < 4:
        return False
    return said in asked or any(_alike(said, text) for text in asked)


def _alike(first: str, second: str) -> bool:
    if not 0.8 < (len(first) + 1) / (len(second) + 1) < 1.25:
        return False
    grams = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (first, second)]
    return len(grams[0] & grams[1]) >= 0.85 * len(grams[0] | grams[1])


def is_cut(text: str) -> bool:
    """Whether a response surely stops in the middle: at a comma, an article, an open fence."""
    return bool(text.count("```") % 2 or _OPEN_END.search(text[-20:]))


def fault(row: Row) -> Reason | Literal[""]:
    """Name a fault for which a row needs no judge, "" if there is none."""
    text = row.output
    if is_empty(text):
        return Reason.EMPTY_RESPONSE
    if is_refusal(text):
        return Reason.REFUSAL
    if has_leftovers(text, row.task):
        return Reason.LEFTOVER_TOKENS
    if is_garbled(text):
        return Reason.GARBLED
    if echoes(row):
        return Reason.ECHO
    if repeats(text):
        return Reason.REPETITION
    if is_unfilled(row):
        return Reason.PLACEHOLDER
    if is_cut(text):
        return Reason.CUT_OFF
    return ""


def wholeness(text: str) -> float:
    """How far a response ends, closes its brackets and parses, 0 to 1."""
    if is_cut(text) or not parses(text) or not closed(text):
        return 0.0
    return 1.0 if ends_cleanly(text) else 0.5


def numbers_used(row: Row) -> float:
    """Share of the distinct numbers of a task that its response takes up; 1 where it has none."""
    asked = set(_NUMBER.findall(row.task))
    return len(asked & set(_NUMBER.findall(row.output))) / len(asked) if asked else 1.0


def values(row: Row) -> dict[str, float]:
    """Values of a row by signal, 0 to 1; the lower, the more it looks like a fault."""
    return {
        "wholeness": wholeness(row.output),
        "numbers": numbers_used(row),
        "script": float(not is_in_another_script(row)),
    }
