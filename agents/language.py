"""Which natural language a text is written in, by py3langid's model, and by its prose alone."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from ..records import Row
from .code import prose
from .texts import script, words

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SURE = 0.5  # probability from which a language counts as told
NO_LANGUAGES = ("zxx", "la")  # the model's label for text that is none, and lorem ipsum
_MOST = 2000  # characters that are read

_NAMES = re.compile(
    r"\b(translat\w*|english|german|french|spanish|portuguese|italian|dutch|polish|turkish|swedish"
    r"|chinese|japanese|korean|russian|arabic|hindi|latin|language)\b|翻译|译成|英文|英语|中文|法语|日语",
    re.IGNORECASE,
)


def language(text: str, sure: float = SURE) -> str:
    """Return the ISO 639-1 code of the language of a text, "" where it does not tell.

    Its prose decides, or all of it where the prose is too little. `sure` is the least probability.
    """
    return _classified(prose(text), sure) or _classified(text, sure)


def language_of(row: Row) -> str:
    """Return the language of a row: of its task, or of the response where that does not tell."""
    return language(row.task) or language(row.output) or language(f"{row.task}\n{row.output}")


def other_language(text: str, model: str, sure: float = SURE) -> bool:
    """Whether a text is in another language than the text that it should follow.

    A text that speaks of languages (a translation) may be followed in any. `sure` is the
    probability with which both languages must be told.
    """
    if _NAMES.search(model) or len(words(text)) < 4:
        return False
    own, wanted = language(text, sure), language(model, sure)
    writings = script(text), script(model)
    if writings[0] == writings[1] or own == wanted:
        return bool(own and wanted and own != wanted)
    # A script other than Latin tells enough; Latin letters are at home in code and formulas.
    told = zip((own, wanted), writings, strict=True)
    return all(name or writing not in ("", "LATIN") for name, writing in told)


def known_languages() -> frozenset[str]:
    """The codes that `language` can return."""
    return frozenset(_model().labels).difference(NO_LANGUAGES)


def _classified(text: str, sure: float) -> str:
    shown = text[:_MOST]
    if not any(c.isalpha() for c in shown):
        return ""
    name, probability = _model().classify(shown)
    return str(name) if probability >= sure and name not in NO_LANGUAGES else ""


@cache
def _model() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Of languages without a two-letter code most are close relatives of one that has it.
    model.set_languages([name for name in model.labels if len(name) == 2 or name in NO_LANGUAGES])
    return model
