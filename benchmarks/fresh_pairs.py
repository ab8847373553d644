"""Labelled pairs of kinds of change that nothing was chosen by: written and committed unmeasured.

The policy and the source rows (odd index) are those of `pairs.py`; the tables are in no list of
the product on purpose. An other task is only taken where its answer changes too. What is seen on
these pairs changes no rule: when one does, it needs another file like this one.

How far this held: the author of these tables then changed the rules of the product, by the pairs
of `pairs.py`, before looking at a result here; automatic verdicts were right in 95.4% by the rules
before, in 98.4% by those after. `A_KIND` was 76 at first, and is 20 to keep the embedding short.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

from corpora import MIXTURE, rows_of
from pairs import Change, Maker, Pair, Table, ask, everywhere, made, with_ask

from lift_agent.records import Row

A_KIND = 20  # pairs of a kind

# duplicates -------------------------------------------------------------------------------

SPELLINGS: Table = [
    ("color", "colour"),
    ("colors", "colours"),
    ("center", "centre"),
    ("analyze", "analyse"),
    ("organize", "organise"),
    ("optimize", "optimise"),
    ("initialize", "initialise"),
    ("normalize", "normalise"),
    ("traveled", "travelled"),
    ("favorite", "favourite"),
    ("neighbor", "neighbour"),
    ("gray", "grey"),
    ("catalog", "catalogue"),
    ("dialog", "dialogue"),
    ("customize", "customise"),
    ("meters", "metres"),
    ("liters", "litres"),
    ("labeled", "labelled"),
    ("behavior", "behaviour"),
    ("check", "cheque"),
    ("license", "licence"),
    ("practice", "practise"),
    ("capitalize", "capitalise"),
    ("categorize", "categorise"),
    ("summarize", "summarise"),
    ("recognize", "recognise"),
    ("visualize", "visualise"),
    ("randomize", "randomise"),
    ("serialize", "serialise"),
    ("jewelry", "jewellery"),
    ("theater", "theatre"),
]
COMPOUNDS: Table = [
    ("website", "web site"),
    ("email", "e-mail"),
    ("username", "user name"),
    ("lowercase", "lower case"),
    ("uppercase", "upper-case"),
    ("filename", "file name"),
    ("database", "data base"),
    ("dataset", "data set"),
    ("substring", "sub-string"),
    ("subarray", "sub-array"),
    ("homepage", "home page"),
    ("webpage", "web page"),
    ("timestamp", "time stamp"),
    ("whitespace", "white space"),
    ("online", "on-line"),
    ("dropdown", "drop-down"),
    ("linked list", "linked-list"),
    ("command line", "command-line"),
    ("two-dimensional", "two dimensional"),
    ("case-insensitive", "case insensitive"),
    ("bubble sort", "bubble-sort"),
    ("binary search", "binary-search"),
    ("multidimensional", "multi-dimensional"),
    ("non-negative", "nonnegative"),
    ("real-time", "real time"),
    ("for loop", "for-loop"),
    ("while loop", "while-loop"),
    ("weekend", "week-end"),
    ("cupcakes", "cup cakes"),
    ("part-time", "part time"),
]
PERSONAS = (
    "You are an expert.",
    "Act as a patient tutor.",
    "You are a helpful assistant who answers well.",
    "Imagine that you are a seasoned professional.",
    "Pretend to be a wise mentor.",
    "As an experienced colleague, take this on.",
)
LABELS = (
    "### Instruction:\n{}",
    "### Instruction:\n{}\n\n### Response:",
    "Prompt: {}",
    "User: {}",
    "Exercise 4.\n{}",
    "[INST] {} [/INST]",
    "Homework:\n\n{}",
    "<task>{}</task>",
    "Instruction: {}\nResponse:",
)
NUDGES = (
    "Think step by step.",
    "Take a deep breath first.",
    "Take your time.",
    "Double-check yourself before you reply.",
    "This is very important to my career.",
    "Be sure that it is right.",
    "Don't guess.",
    "I trust you with it.",
)
DROPPED = re.compile(r"\b(?:the|an?|is|are|that|which|to|of)\s", re.IGNORECASE)


def one_word(table: Table) -> Change:
    """A change of one phrase of the request into the other form that the table gives it."""

    def change(row: Row, maker: Maker) -> Row | None:
        for old, new in maker.entries(table):
            request = re.sub(rf"\b{old}\b", new, ask(row)[1])
            if request != ask(row)[1]:
                return with_ask(row, request)
        return None

    return change


def persona(row: Row, maker: Maker) -> Row | None:
    """A sentence in front that gives the model a part to play, of no consequence here."""
    return with_ask(row, f"{maker.rng.choice(PERSONAS)} {ask(row)[1]}")


def labelled(row: Row, maker: Maker) -> Row | None:
    """The labels of a prompt template around the request."""
    return with_ask(row, maker.rng.choice(LABELS).format(ask(row)[1]))


def nudged(row: Row, maker: Maker) -> Row | None:
    """A sentence at the end that pushes the model, and asks for nothing more."""
    return with_ask(row, f"{ask(row)[1].rstrip()} {maker.rng.choice(NUDGES)}")


def telegraphic(row: Row, maker: Maker) -> Row | None:
    """Articles and other small words left out of the request, as in a search box."""
    return with_ask(row, DROPPED.sub("", ask(row)[1]))


def moved_input(row: Row, maker: Maker) -> Row | None:
    """The input written into the instruction."""
    if not row.input.strip() or row.input.strip().lower() in ("noinput", "none", "n/a"):
        return None
    link = maker.rng.choice(["\n", "\n\n", ": ", "\nInput: ", "\n\n### Input:\n"])
    return replace(row, instruction=row.instruction.rstrip(" .:") + link + row.input, input="")


def asked_twice(row: Row, maker: Maker) -> Row | None:
    """The request said once more at the end."""
    text = ask(row)[1]
    if len(text) > 300:
        return None
    again = maker.rng.choice(["Again: ", "In short: ", "To repeat: ", "So: "])
    return with_ask(row, f"{text.rstrip()}\n{again}{text}")


# other tasks ------------------------------------------------------------------------------

OPERATIONS: Table = [
    ("sum", "product"),
    ("sort", "shuffle"),
    ("sorts", "shuffles"),
    ("reverse", "rotate"),
    ("reverses", "rotates"),
    ("union", "intersection"),
    ("count", "print"),
    ("counts", "prints"),
    ("average", "variance"),
    ("merge", "interleave"),
    ("concatenate", "compare"),
    ("search", "hash"),
    ("square", "cube"),
    ("rename", "copy"),
    ("validate", "mask"),
    ("filter", "group"),
    ("replace", "count"),
    ("summarize", "criticize"),
    ("rotate", "mirror"),
    ("multiply", "exponentiate"),
    ("download", "scan"),
]
FIELDS: Table = [
    ("name", "address"),
    ("names", "addresses"),
    ("title", "author"),
    ("price", "rating"),
    ("salary", "department"),
    ("age", "weight"),
    ("length", "width"),
    ("date", "duration"),
    ("country", "continent"),
    ("color", "font"),
    ("email", "surname"),
    ("grade", "attendance"),
    ("score", "rank"),
    ("perimeter", "diagonal"),
    ("speed", "acceleration"),
    ("cost", "weight"),
    ("id", "zipcode"),
    ("category", "supplier"),
    ("city", "planet"),
]
MEANS: Table = [
    ("recursion", "iteration"),
    ("recursive", "iterative"),
    ("for loop", "while loop"),
    ("list comprehension", "generator expression"),
    ("regular expression", "finite automaton"),
    ("regex", "parser"),
    ("React", "Svelte"),
    ("jQuery", "Alpine"),
    ("Django", "Tornado"),
    ("Flask", "Bottle"),
    ("pandas", "polars"),
    ("numpy", "numba"),
    ("TensorFlow", "JAX"),
    ("MongoDB", "Cassandra"),
    ("dynamic programming", "backtracking"),
    ("depth-first search", "breadth-first search"),
    ("bubble sort", "heap sort"),
    ("merge sort", "radix sort"),
    ("linear search", "jump search"),
    ("hash table", "trie"),
    ("if-else", "switch-case"),
    ("lambda", "decorator"),
    ("Bootstrap", "Tailwind"),
    ("Node.js", "Deno"),
    ("BeautifulSoup", "Selenium"),
]
COLOURS: Table = [
    ("red", "purple"),
    ("blue", "orange"),
    ("green", "brown"),
    ("yellow", "pink"),
    ("white", "crimson"),
    ("black", "turquoise"),
]
ELEMENTS: Table = [
    ("integers", "floats"),
    ("integer", "float"),
    ("characters", "bytes"),
    ("character", "byte"),
    ("strings", "booleans"),
    ("letters", "punctuation marks"),
    ("letter", "punctuation mark"),
    ("words", "lines"),
    ("word", "line"),
    ("nodes", "edges"),
    ("node", "edge"),
    ("paragraph", "div"),
    ("files", "folders"),
    ("dates", "times"),
    ("keys", "values"),
]
BOUNDS: Table = [
    ("greater than or equal to", "greater than"),
    ("greater than", "greater than or equal to"),
    ("less than or equal to", "less than"),
    ("less than", "less than or equal to"),
    ("more than", "at least"),
    ("at least", "at most"),
    ("at most", "exactly"),
    ("up to", "beyond"),
    ("divisible by", "coprime to"),
    ("between", "outside"),
    ("starts with", "ends with"),
    ("starting with", "ending with"),
    ("starting from", "stopping at"),
]
FREQUENCIES: Table = [
    ("daily", "hourly"),
    ("weekly", "yearly"),
    ("monthly", "quarterly"),
    ("per day", "per year"),
    ("per week", "per night"),
    ("per month", "per decade"),
    ("each day", "each weekend"),
    ("every day", "every Sunday"),
    ("a day", "a fortnight"),
    ("a week", "a season"),
    ("per hour", "per shift"),
    ("an hour", "a minute"),
    ("annual", "nightly"),
]
RELATIVES: Table = [
    ("father", "uncle"),
    ("mother", "aunt"),
    ("brother", "cousin"),
    ("sister", "niece"),
    ("wife", "neighbour"),
    ("husband", "landlord"),
    ("friend", "rival"),
    ("friends", "rivals"),
    ("son", "nephew"),
    ("daughter", "granddaughter"),
    ("teacher", "janitor"),
    ("boss", "tailor"),
    ("mom", "grandma"),
    ("dad", "grandpa"),
]
QUOTED = re.compile(r"(?<!\w)(['\"])([A-Za-z][A-Za-z ]{2,30})\1(?!\w)")
LITERALS = ("orange juice", "winter", "bananas", "blue sky", "kettle", "sunflower", "lighthouse")


def _spelled(text: str, old: str, new: str) -> str:
    """Replace whole words in each of their forms of case."""

    def other(found: re.Match[str]) -> str:
        return new.capitalize() if found.group()[0].isupper() else new

    return re.sub(rf"(?<![A-Za-z]){re.escape(old)}(?![A-Za-z])", other, text, flags=re.IGNORECASE)


def another(table: Table) -> Change:
    """A change of one phrase into another thing, wherever the row names it."""

    def change(row: Row, maker: Maker) -> Row | None:
        for old, new in maker.entries(table):
            if old in ask(row)[1]:
                other = everywhere(row, lambda text, o=old, n=new: _spelled(text, o, n))  # type: ignore[misc]
                if other.instruction != row.instruction and other.output != row.output:
                    return other
        return None

    return change


def bounded(row: Row, maker: Maker) -> Row | None:
    """Another bound or relation is asked for; a comparison of the output changes with it."""
    signs = (("<=", "<"), (">=", ">"), ("<", "<="), (">", ">="), ("==", "!="))
    for old, new in maker.entries(BOUNDS):
        request = with_ask(row, re.sub(rf"\b{old}\b", new, ask(row)[1], count=1))
        if request is not None:
            for sign, other in signs:
                if sign in row.output:
                    return replace(request, output=row.output.replace(sign, other, 1))
    return None


def literal(row: Row, maker: Maker) -> Row | None:
    """Another quoted text, in the instruction, the input and the output."""
    found = [quoted for _, quoted in QUOTED.findall(ask(row)[1])]
    if not found:
        return None
    old, new = maker.rng.choice(found), maker.rng.choice(LITERALS)
    other = everywhere(row, lambda text: text.replace(old, new))
    return other if other.output != row.output else None


SAME: dict[str, Change] = {
    "British spelling": one_word(SPELLINGS),
    "compounds joined or parted": one_word(COMPOUNDS),
    "persona in front": persona,
    "labels of a template": labelled,
    "nudge at the end": nudged,
    "small words left out": telegraphic,
    "input in the instruction": moved_input,
    "asked twice": asked_twice,
}
OTHER: dict[str, Change] = {
    "other operation": another(OPERATIONS),
    "other field": another(FIELDS),
    "other means": another(MEANS),
    "other colour": another(COLOURS),
    "other element": another(ELEMENTS),
    "other bound": bounded,
    "other frequency": another(FREQUENCIES),
    "other person by role": another(RELATIVES),
    "other quoted text": literal,
}


def fresh_pairs(folder: Path, a_kind: int = A_KIND) -> list[Pair]:
    """Up to `a_kind` pairs of every fresh kind, from rows of odd index, always the same."""
    files = [list(enumerate(rows_of(folder, name))) for name in MIXTURE]
    pairs: list[Pair] = []
    for kind, change in {**SAME, **OTHER}.items():
        maker = Maker(True, random.Random(kind))
        pairs.extend(made(kind, change, kind in SAME, files, maker, a_kind))
    return pairs
