"""Personal data and secrets in texts: pure patterns, with a checksum or a ruling where one exists.

A find has a kind (EMAIL, PHONE, CARD, IBAN, IP, KEY) and a place; never is its value kept.
Well-known placeholders, such as example.com, 555-0100 or the addresses of documentation, are no
personal data.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from stdnum import iban, luhn

from ..records import Row
from ..secret_patterns import PRIVATE_KEY, WHOLE_KEY

KINDS = ("KEY", "EMAIL", "IBAN", "CARD", "IP", "PHONE")  # where two overlap, the earlier one holds

_MASK = re.compile(rf"\[({'|'.join(KINDS)})\]")


class Find(NamedTuple):
    """A piece of personal data: its kind, and where it stands in the text."""

    kind: str
    start: int
    end: int


_EMAIL = re.compile(
    r"(?<![\w.+@/-])[\w.+-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24}(?![\w@-])"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(
    r"(?<![\w.,-])(?<!\d[ -])[2-6](?:\d{12,18}|\d{3}(?:([ -])\d{4}(?:\1\d{4}){2}))"
    r"(?![\w.,-]\d|[ ]\d|\w)"
)
_AMEX = re.compile(r"(?<![\w.-])3[47]\d{2}([ -])\d{6}\1\d{5}(?!\w)")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_VERSION = re.compile(r"(?:\bv|versions?|release|firmware|build|[<>=~^]=?|\bver\.?)\s*$", re.I)
_PHONE = re.compile(
    r"(?<![\w.+/-])(?:"
    r"\+[1-9](?:[ .()-]{0,2}\d){7,14}|"  # international
    r"(?:1[ .-])?\(\d{3}\) ?\d{3}[ .-]\d{4}|(?:1[ .-])?[2-9]\d\d([ .-])\d{3}\1\d{4}|"
    r"0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}"
    r")(?![\w-]|\.\d)"
)
_PLACEHOLDER_HOSTS = re.compile(
    r"(?:^|\.)(?:example|test|domain|yourdomain|mydomain|company|yourcompany|email|mail|acme|"
    r"abc|xyz|foo|bar|sample|website|site|localhost|\w*example\w*)\.\w+(?:\.\w+)?$|"
    r"\.(?:example|test|invalid|local|localhost)$",
    re.IGNORECASE,
)
_PLACEHOLDER_NAMES = re.compile(
    r"(?:your?[._-]?(?:name|e?mail|address|id)|user(?:name)?\d*|e?mail|name|test\w*|example\w*|"
    r"you|me|some(?:one|body)|abc|xyz|foo|bar|recipient|sender|first(?:name)?[._]last(?:name)?|git|"
    r"no-?reply|(?:john|jane)[._]?(?:doe|smith)?\d*)",
    re.IGNORECASE,
)
_RESOLVERS = ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222")
_MADE_UP = re.compile(r"12\.34\.56\.78|123\.45\.67\.\d+|(\d+)\.\1\.\1\.\1|1\.2\.3\.4")
_WHOLE_GROUP = re.compile(r"(?=[0-9A-Fa-f]*\d)[0-9A-Fa-f]{3,4}(?=:)")
_SAMPLE_CARDS = ("4111111111111111", "4242424242424242", "5555555555554444", "378282246310005")


def finds(text: str) -> list[Find]:
    """Return the personal data and secrets of a text, in order, none inside another."""
    found: list[Find] = []
    for kind in KINDS:
        for find in _SEARCHES[kind](text):
            if all(find.end <= other.start or other.end <= find.start for other in found):
                found.append(find)
    return sorted(found, key=lambda find: find.start)


def masked(text: str) -> str:
    """Return the text with each find replaced by its kind in brackets, such as [EMAIL].

    What stood against a find may be one itself once that is masked, so it goes on until none is.
    """
    while found := finds(text):
        for find in reversed(found):
            text = f"{text[: find.start]}[{find.kind}]{text[find.end :]}"
    return text


def masked_row(row: Row) -> Row:
    """Return a row with all its texts masked, those in the columns of its file included."""
    return replace(
        row,
        instruction=masked(row.instruction),
        input=masked(row.input),
        output=masked(row.output),
        system=masked(row.system),
        history=tuple((masked(ask), masked(answer)) for ask, answer in row.history),
        extra={name: _masked_value(value) for name, value in row.extra.items()},
    )


def personal(row: Row) -> Mapping[str, int]:
    """How many finds of each kind the texts of a row hold."""
    return Counter(find.kind for text in _texts(row) for find in finds(text))


def masks(row: Row) -> Mapping[str, int]:
    """How many masks of each kind the texts of a row hold."""
    return Counter(kind for text in _texts(row) for kind in _MASK.findall(text))


def _texts(row: Row) -> tuple[str, ...]:
    turns = (text for turn in row.history for text in turn)
    return (row.system, *turns, row.instruction, row.input, row.output)


def _masked_value(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list):
        return [_masked_value(item) for item in value]
    if isinstance(value, dict):
        return {name: _masked_value(item) for name, item in value.items()}
    return value


def _keys(text: str) -> Iterator[Find]:
    for match in PRIVATE_KEY.finditer(text):
        yield Find("KEY", *match.span())
    for match in WHOLE_KEY.finditer(text):
        # A key is drawn at random: sk-your-api-key-goes-here and sk-xxxxxxxx are none.
        if _random(max(re.split(r"[-_.]", match.group()), key=len)):
            yield Find("KEY", *match.span())


def _random(text: str) -> bool:
    return len(set(text)) >= 8 and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


def _emails(text: str) -> Iterator[Find]:
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        name, _, host = match.group().rpartition("@")
        if not (_PLACEHOLDER_HOSTS.search(host) or _PLACEHOLDER_NAMES.fullmatch(name)):
            yield Find("EMAIL", *match.span())


def _ibans(text: str) -> Iterator[Find]:
    for match in _IBAN.finditer(text):
        if iban.is_valid(match.group(), check_country=False):
            yield Find("IBAN", *match.span())


def _cards(text: str) -> Iterator[Find]:
    for match in chain(_CARD.finditer(text), _AMEX.finditer(text)):
        digits = re.sub(r"\D", "", match.group())
        if digits not in _SAMPLE_CARDS and len(set(digits)) > 3 and luhn.is_valid(digits):
            yield Find("CARD", *match.span())


def _addresses(text: str) -> Iterator[Find]:
    for match in chain(_IPV4.finditer(text), _IPV6.finditer(text)):
        address, before = match.group(), text[max(0, match.start() - 16) : match.start()]
        if address in _RESOLVERS or _MADE_UP.fullmatch(address) or _VERSION.search(before):
            continue
        if ":" in address and not _WHOLE_GROUP.search(address):
            continue  # a slice such as [::2], or a time
        # Private, documentation, loopback and the like are not global.
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(address).is_global:
                yield Find("IP", *match.span())


def _phones(text: str) -> Iterator[Find]:
    for match in _PHONE.finditer(text):
        number = match.group()
        if "555" not in number and len(set(re.sub(r"\D", "", number))) > 3 and _dialled(number):
            yield Find("PHONE", *match.span())


def _dialled(number: str) -> bool:
    """Whether a number can be dialled: by the library phonenumbers where it is installed.

    Without it, only by its form, which a number with a leading zero has too often.
    """
    library = _phonenumbers()
    if library is None:
        return not number.startswith("0")
    region = "GB" if number.startswith("0") else "US"
    try:
        return bool(library.is_valid_number(library.parse(number, region)))
    except library.NumberParseException:
        return False


@cache
def _phonenumbers() -> Any:
    try:
        import phonenumbers
    except ImportError:
        return None
    return phonenumbers


_SEARCHES: Mapping[str, Callable[[str], Iterator[Find]]] = {
    "KEY": _keys,
    "EMAIL": _emails,
    "IBAN": _ibans,
    "CARD": _cards,
    "IP": _addresses,
    "PHONE": _phones,
}
