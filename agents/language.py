"""A cheap guess of the natural language of a text: its script, and stop words where it is Latin."""

from __future__ import annotations

import re

from .texts import script, words

_STOP_WORDS = {
    "English": "the of and to in is that for it with as this are be on by from which how what your "
    "an write create explain describe using given takes returns between each",
    "German": "der die das und ist nicht ein eine mit für auf den dem von zu wie sich werden auch",
    "French": "le la les des est et une un dans pour que qui avec sur du pas vous au cette comment",
    "Spanish": "el los las una un que en por para con del es se como su más qué cómo al lo",
    "Portuguese": "os as um uma que em por para com não da dos das se como mais ao na no",
    "Italian": "il lo gli una un che di per con del della non si come più sono nel alla",
    "Dutch": "de het een en van is niet met voor op dat zijn hoe wat bij aan ook wordt naar te",
    "Polish": "na nie jest się to że jak dla lub oraz od po przez które co",
    "Turkish": "ve bir bu için ile da de nasıl olarak ne olan en gibi daha her veya ya mi",
    "Swedish": "och att det en som är på av för med den till ett inte hur vad från eller om",
}
_KNOWN = {name: frozenset(stop.split()) for name, stop in _STOP_WORDS.items()}
_NAMES = re.compile(
    r"\b(translat\w*|english|german|french|spanish|portuguese|italian|dutch|polish|turkish|swedish"
    r"|chinese|japanese|korean|russian|arabic|hindi|latin|language)\b",
    re.IGNORECASE,
)


def language(text: str) -> str:
    """Name the language of a text, or its script; "" where the text does not tell.

    A Latin text tells if it has at least three stop words of a language, and half as many again
    as of any other.
    """
    writing = script(text)
    if writing != "LATIN":
        return writing
    found = words(text)
    hits = sorted(
        ((sum(word in stop for word in found), name) for name, stop in _KNOWN.items()),
        reverse=True,
    )
    (most, name), (next_most, _) = hits[:2]
    return name if most >= 3 and most >= 1.5 * next_most else ""


def other_language(text: str, model: str) -> bool:
    """Whether a text is surely in another language than the text that it should follow.

    A text that speaks of languages (a translation) may be followed in any.
    """
    if _NAMES.search(model):
        return False
    own, wanted = language(text), language(model)
    if script(text) != script(model):
        return bool(own and wanted and len(words(text)) >= 4)
    return bool(own and wanted and own != wanted)
