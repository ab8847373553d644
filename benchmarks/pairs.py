"""Labelled pairs of rows: the same task or not, made from real rows by changes of known kinds.

Policy: two rows are duplicates if one correct answer serves for both tasks. Copies, changes of
form and rewordings are duplicates; other numbers, names, inputs, programming languages and flipped
meanings are not, and where the change implies it their outputs change with them. Rules, word
lists and thresholds are chosen on pairs from rows of even index, which draw on every second entry
of the tables below; pairs from rows of odd index, which draw on all entries, are reported. The
kinds in `ODD_ONLY` are made from odd rows only.

How far this held: the lists of the product and the tables here have one author, and by now every
kind was looked at, those of `ODD_ONLY` last: they were left out first, and what was seen on them
made rules (other names of a language, a word that is replaced though it stands elsewhere too,
what is added without a change of the answer). `fresh_pairs.py` has the kinds that are left out.
"""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from corpora import MIXTURE, rows_of

from lift_agent.agents.code import looks_like_code
from lift_agent.agents.texts import normalised
from lift_agent.records import Row

A_KIND = 76  # pairs of a kind and half


def _tables() -> dict[str, list[Any]]:
    """The word tables beside this file: a line an entry, under the name of its table."""
    found: dict[str, list[Any]] = defaultdict(list)
    for line in Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        entry = row["entry"]
        found[row["table"]].append(tuple(entry) if isinstance(entry, list) else entry)
    return found


TABLES = _tables()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows, whether they are the same task, the kind of change, and the half it is in."""

    first: Row
    second: Row
    same: bool
    kind: str
    reported: bool


Table = Sequence[tuple[str, ...]]


class Maker:
    """Draws changes for one row: its rng, and the entries of the tables that its half may use."""

    def __init__(self, odd: bool, rng: random.Random) -> None:
        self.odd = odd
        self.rng = rng

    def entries(self, table: Table) -> list[tuple[str, ...]]:
        """The table's entries, in random order."""
        allowed = list(table if self.odd else table[::2])
        self.rng.shuffle(allowed)
        return allowed


Change = Callable[[Row, Maker], "Row | None"]


def word_list(text: str) -> list[str]:
    """The words of a table."""
    return text.split()


# words ------------------------------------------------------------------------------------


def swap_words(text: str, words: Mapping[str, str]) -> str:
    """Replace whole words, all at once, keeping a capital at the beginning."""
    if not words:
        return text
    pattern = "|".join(sorted(map(re.escape, words), key=len, reverse=True))

    def other(found: re.Match[str]) -> str:
        new = words[found.group().lower()]
        return new[0].upper() + new[1:] if found.group()[0].isupper() else new

    return re.sub(rf"(?<![\w'])({pattern})(?![\w'])", other, text, flags=re.IGNORECASE)


def everywhere(row: Row, change: Callable[[str], str]) -> Row:
    """The row with its instruction, input and output changed alike."""
    return replace(
        row,
        instruction=change(row.instruction),
        input=change(row.input),
        output=change(row.output),
    )


def ask(row: Row) -> tuple[str, str]:
    """The instruction in two parts: what precedes the request (a tool's description), and it."""
    head, line, last = row.instruction.rpartition("\n") if _tool(row) else ("", "", row.instruction)
    return head + line, last


def with_ask(row: Row, request: str) -> Row | None:
    """The row with another request."""
    head, old = ask(row)
    return replace(row, instruction=head + request) if request != old else None


def _tool(row: Row) -> bool:
    return row.instruction.startswith("toolformer")


# duplicates -------------------------------------------------------------------------------


def copy(row: Row, _: Maker) -> Row:
    """The same text."""
    return row


def surface(row: Row, maker: Maker) -> Row | None:
    """Another form: case, punctuation, spacing, unicode, list markers, a polite prefix."""
    polite = [("Please ",), ("Could you please ",), ("Please, ",), ("Kindly ",), ("Can you ",)]

    def politely(text: str) -> str:
        return maker.entries(polite)[0][0] + text[0].lower() + text[1:]

    changes: list[Callable[[str], str]] = [
        str.upper,
        str.lower,
        str.title,
        lambda t: re.sub(r"(?<!\d)[.,;:!?](?!\w)", "", t),
        lambda t: t.rstrip(".!? ") + maker.rng.choice([" .", "!", "...", " :", ""]),
        lambda t: "  " + re.sub(" ", "  ", t) + "\n",
        lambda t: re.sub(r"(?<=[.,]) ", "\n", t, count=2).replace(" ", "\u00a0"),
        lambda t: t.replace("'", "\u2019").replace(" - ", " \u2014 ") + "\u200b",
        lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
        lambda t: unicodedata.normalize("NFD", t).replace('"', "\u201d"),
        lambda t: maker.rng.choice(["- ", "1. ", "* ", "• ", "Q: ", "a) "]) + t,
        politely,
        politely,
    ]
    return with_ask(row, maker.rng.choice(changes)(ask(row)[1]))


VERBS = TABLES["VERBS"]
PHRASES = TABLES["PHRASES"]
FRAMES = TABLES["FRAMES"]
PASSIVE = re.compile(
    r"^(Write|Create|Develop|Implement|Design|Build|Construct|Generate) "
    r"(an? [\w+# ]+?) (that|to|which) (.+?)\.?$"
)
IN_LANGUAGE = re.compile(r"^(\w+) (.+?) in (Python|Java|JavaScript|C\+\+|PHP|C#|Ruby|SQL)\b(.*)$")
QUESTION = re.compile(r"^(What|Who|When|Where|How|Which|Why)\b.*\?\s*$")


def _participle(verb: str) -> str:
    known = {"Write": "written", "Build": "built"}
    return known.get(verb, verb.lower() + ("d" if verb.endswith("e") else "ed"))


def _reordered(text: str, maker: Maker) -> str:
    """Active to passive, imperative to question, a clause moved to the front."""
    ways = []
    if found := PASSIVE.match(text):
        verb, thing, link, rest = found.groups()
        ways.append(f"{thing[0].upper()}{thing[1:]} {link} {rest} should be {_participle(verb)}.")
        ways.append(f"I need {thing} {link} {rest}.")
        ways.append(f"What would {thing} {link} {rest} look like?")
    if found := IN_LANGUAGE.match(text):
        verb, thing, language, rest = found.groups()
        ways.append(f"In {language}, {verb.lower()} {thing}{rest}")
        ways.append(f"Using {language}, {verb.lower()} {thing}{rest}")
    if found := re.match(r"^(Given [^,]+), (\w)(.+?)\.?$", text):
        given, first, rest = found.groups()
        ways.append(f"{first.upper()}{rest}, {given[0].lower()}{given[1:]}.")
    if QUESTION.match(text) and len(text) < 200:
        ways.append(f"Tell me: {text[0].lower()}{text[1:]}")
        ways.append(f"Answer this question: {text}")
    starts = {entry[0] for entry in VERBS}
    if text.split() and text.split(maxsplit=1)[0].lower() in starts and "?" not in text:
        body = text.rstrip(". ")
        ways.append(maker.entries(FRAMES)[0][0].format(body[0].lower() + body[1:]))
    return maker.rng.choice(ways) if ways else text


def _synonyms(text: str, maker: Maker, most: int) -> str:
    """Other words from the tables, for at most so many phrases."""
    done = 0
    first = text.split(maxsplit=1)[0].lower() if text.split() else ""
    for entry in maker.entries(VERBS):
        if text.lower().startswith(entry[0]) and entry[0].split()[0] == first:
            text = (
                swap_words(text[: len(entry[0])], {entry[0]: maker.rng.choice(entry[1:])})
                + (text[len(entry[0]) :])
            )
            done += 1
            break
    for entry in maker.entries(PHRASES):
        if done >= most:
            break
        changed = swap_words(text, {entry[0]: maker.rng.choice(entry[1:])})
        done += changed != text
        text = changed
    return text


def reworded(row: Row, maker: Maker) -> Row | None:
    """The instruction in other words, or in another order, or both."""
    text = ask(row)[1]
    if maker.rng.random() < 0.7:
        new = _synonyms(text, maker, maker.rng.choice([1, 2, 3]))
        if new == text or maker.rng.random() < 0.4:
            new = _reordered(new, maker)
    else:
        new = _reordered(text, maker)
    return with_ask(row, new) if normalised(new) != normalised(text) else None


OUTPUT_WORDS = TABLES["OUTPUT_WORDS"]
IDENTIFIERS = TABLES["IDENTIFIERS"]


def _other_output(text: str, maker: Maker) -> str:
    if looks_like_code(text):
        names = {entry[0]: maker.rng.choice(entry[1:]) for entry in maker.entries(IDENTIFIERS)[:6]}
        new = re.sub(r"\b\w+\b", lambda word: names.get(word.group(), word.group()), text)
        if maker.rng.random() < 0.5:
            new = f"Here is the code:\n```\n{new}\n```"
        return new
    for entry in maker.entries(OUTPUT_WORDS):
        text = swap_words(text, {entry[0]: maker.rng.choice(entry[1:])})
    if re.search(r"\d [-+*/x] \d", text) and maker.rng.random() < 0.5:
        text = re.sub(r"(\d) \* (\d)", r"\1 x \2", text) + " That is the answer."
    return text


def reworded_both(row: Row, maker: Maker) -> Row | None:
    """The instruction and the output in other words."""
    new = reworded(row, maker)
    if new is None:
        return None
    output = _other_output(row.output, maker)
    return replace(new, output=output) if normalised(output) != normalised(row.output) else None


TYPOS = re.compile(r"(?<![\w'\"`\\(])[a-z]{5,}(?![\w'\"`(])")


def typos(row: Row, maker: Maker) -> Row | None:
    """One to three words spelled wrongly."""
    text, rng = ask(row)[1], maker.rng
    places = [found.span() for found in TYPOS.finditer(text)]
    for start, end in sorted(rng.sample(places, min(len(places), rng.choice([1, 1, 2, 3]))))[::-1]:
        word, at = text[start:end], rng.randrange(1, end - start - 1)
        wrong = rng.choice(
            [
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + rng.choice("aeinorst") + word[at + 1 :],
            ]
        )
        text = text[:start] + wrong + text[end:]
    return with_ask(row, text)


CONTRACTIONS = TABLES["CONTRACTIONS"]


def contractions(row: Row, _: Maker) -> Row | None:
    """Short forms in place of long ones, or long ones in place of short ones."""
    short = dict(CONTRACTIONS)
    long = {b: a for a, b in CONTRACTIONS}
    text = ask(row)[1].replace("\u2019", "'")
    return with_ask(row, swap_words(text, short)) or with_ask(row, swap_words(text, long))


THANKS = TABLES["THANKS"]


def politeness(row: Row, maker: Maker) -> Row | None:
    """A polite sentence at the end."""
    return with_ask(row, f"{ask(row)[1].rstrip()} {maker.rng.choice(THANKS)}")


def sentences(row: Row, maker: Maker) -> Row | None:
    """One sentence made two, or two made one."""
    text = ask(row)[1]
    ways = []
    if found := re.match(
        r"^(\w+ an? [\w+#' ]+?) that (takes|accepts|calculates|finds) (.+)$", text
    ):
        head, verb, rest = found.groups()
        ways.append(f"{head}. It {verb} {rest}")
        ways.append(f"{head}. The {head.split()[-1]} {verb} {rest}")
    if found := re.match(r"^(.{20,}?)(?<!\d)\. (?=[A-Z])(\w+)(.*)$", text, re.DOTALL):
        head, first, rest = found.groups()
        low = first.lower() if first in LOWERED else first
        ways.append(f"{head}, and {low}{rest}")
        ways.append(f"{head}; {low}{rest}")
    if found := re.match(r"^(.{20,}?), and (he|she|they|it|return|print)\b(.*)$", text, re.DOTALL):
        head, first, rest = found.groups()
        ways.append(
            f"{head}. {'Also, ' + first if first in ('return', 'print') else first.title()}{rest}"
        )
    return with_ask(row, maker.rng.choice(ways)) if ways else None


def emphasis(row: Row, maker: Maker) -> Row | None:
    """Words set off in the manner of Markdown: bold, italic, code, a heading, a rule."""
    text, rng = ask(row)[1], maker.rng
    words = list(re.finditer(r"(?<![\w'\"`*_])\w{3,}(?![\w'\"`*_])", text))
    for found in sorted(rng.sample(words, min(len(words), 3)), key=lambda f: -f.start()):
        mark = rng.choice(["**", "*", "`", "__"])
        text = f"{text[: found.start()]}{mark}{found.group()}{mark}{text[found.end() :]}"
    frames = ("{}", "## {}", "> {}", "{}\n\n---", "### Task\n\n{}")
    return with_ask(row, rng.choice(frames).format(text)) if words else None


CONTEXTS = TABLES["CONTEXTS"]


def context(row: Row, maker: Maker) -> Row | None:
    """A sentence in front that says why one asks, and changes nothing in what is asked."""
    return with_ask(row, f"{maker.rng.choice(CONTEXTS)} {ask(row)[1]}")


SHORT = TABLES["SHORT"]


def abbreviations(row: Row, maker: Maker) -> Row | None:
    """One or two words abbreviated."""
    text, done = ask(row)[1], 0
    for old, new in maker.entries(SHORT):
        changed = re.sub(rf"\b{old}\b", new, text, flags=re.IGNORECASE)
        done += changed != text
        text = changed
        if done == 2:
            break
    return with_ask(row, text)


FILLING = word_list("basically actually simply really essentially quickly carefully exactly")


def filling(row: Row, maker: Maker) -> Row | None:
    """Words put in that add nothing."""
    text, rng = ask(row)[1], maker.rng
    places = [found.start() for found in re.finditer(r"(?<=[a-z] )(?=[a-z])", text)]
    for at in sorted(rng.sample(places, min(len(places), rng.choice([1, 1, 2]))), reverse=True):
        text = f"{text[:at]}{rng.choice(FILLING)} {text[at:]}"
    return with_ask(row, text)


LOWERED = frozenset(TABLES["LOWERED"])

# other tasks ------------------------------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
EQUATION = re.compile(r"([\d.,+*/()x\- $%]*\d[\d.,+*/()x\- $%]*?)\s*=\s*\$?(-?\d[\d,]*(?:\.\d+)?)")


def _value(expression: str) -> float | None:
    cleaned = re.sub(r"[$,]", "", expression).replace("x", "*").replace("%", "/100")
    if not re.fullmatch(r"[\d.+*/() -]*[+*/-][\d.+*/() -]*", cleaned):
        return None
    try:
        return float(eval(cleaned, {"__builtins__": {}}))
    except (SyntaxError, ZeroDivisionError, TypeError, OverflowError):
        return None


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.2f}"


def _recomputed(output: str, changed: dict[str, str]) -> str | None:
    """The output with numbers changed and its equations solved again; None if that fails."""
    changed = dict(changed)
    done, at = "", 0
    for found in EQUATION.finditer(output):
        expression, value = found.groups()
        before = _value(expression)
        if before is None or abs(before - float(value.replace(",", ""))) > 0.01:
            return None
        done += _numbers(output[at : found.start(2)], changed)
        after = _value(_numbers(expression, changed))
        if after is None or after < 0 or (before == int(before) and after != int(after)):
            return None
        changed[value] = _shown(after)
        done += changed[value]
        at = found.end(2)
    return done + _numbers(output[at:], changed) if at else None


def _numbers(text: str, changed: Mapping[str, str]) -> str:
    return NUMBER.sub(lambda found: changed.get(found.group(), found.group()), text)


def other_numbers(row: Row, maker: Maker) -> Row | None:
    """One number or two of the instruction changed, and what follows from them."""
    found = [n for n in dict.fromkeys(NUMBER.findall(ask(row)[1])) if n not in ("0", "1")]
    if not found:
        return None
    changed = {}
    for number in maker.rng.sample(found, min(len(found), maker.rng.choice([1, 1, 2]))):
        value = float(number)
        new = (
            value * maker.rng.choice([2, 3])
            if "." in number
            else value + maker.rng.choice([1, 2, 3, 4, 5, 10, int(value)])
        )
        changed[number] = _shown(new)
    request = with_ask(row, _numbers(ask(row)[1], changed))
    if request is None:
        return None
    if re.search(r"= ?\$?\d", row.output) and not looks_like_code(row.output):
        output = _recomputed(row.output, changed)
    else:
        output = _numbers(row.output, changed)
    if output is None or output == row.output:
        return None
    return replace(request, input=_numbers(row.input, changed), output=output)


PEOPLE = word_list("""
    Ingrid Marcus Beatriz Oleg Priya Hannah Tobias Yusuf Clara Mateo Fiona Rashid Nadia
    Viktor Esther Hugo Leila Bruno Astrid Kenji Amara Felix Rosa Dmitri Paloma Niels Zara
    Otto
""")
NOUNS = TABLES["NOUNS"]
NOT_NAMES = set(
    word_list("""
    I A The It If Of In On By At To And Or Python Java JavaScript Input Output HTML CSS SQL
    PHP API URL JSON XML Monday Tuesday Wednesday Thursday Friday Saturday Sunday January
    February March April May June July August September October November December Christmas
    Ruby Swift Rust Kotlin Bash Perl Scala Node React English Celsius Fahrenheit London
    Paris Tokyo Berlin New York Los Angeles San Francisco Chicago Boston Google Fibonacci
    Regular Expression Spanish French German TypeScript Django Flask Boolean String Integer
    Array Object Class
""")
)


def other_entities(row: Row, maker: Maker) -> Row | None:
    """Another person, product or thing, in the instruction, the input and the output."""
    text = ask(row)[1]
    names = [
        n
        for n in dict.fromkeys(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b", text))
        if n not in NOT_NAMES
    ]
    nouns = [e for e in maker.entries(NOUNS) if re.search(rf"\b{e[0]}\b", text, re.IGNORECASE)]
    if names and (not nouns or maker.rng.random() < 0.5):
        old, new = names[0].lower(), maker.rng.choice(PEOPLE)
    elif nouns:
        old, new = nouns[0]
        forms = {old, old.title(), old.upper()}
        return everywhere(row, lambda t: _forms(t, old, new)) if forms else None
    else:
        return None
    return everywhere(row, lambda t: re.sub(rf"\b{old}\b", new, t, flags=re.IGNORECASE))


def _forms(text: str, old: str, new: str) -> str:
    """Replace a word also inside identifiers: with spaces, underscores, in camel case."""
    pairs = {
        old: new,
        old.title(): new.title(),
        old.upper(): new.upper(),
        old.replace(" ", "_"): new.replace(" ", "_"),
        old.title().replace(" ", ""): new.title().replace(" ", ""),
        old[0].upper() + old[1:]: new[0].upper() + new[1:],
    }
    if old.endswith("s") and new.endswith("s"):
        pairs[old[:-1]] = new[:-1]
        pairs[old[:-1].title()] = new[:-1].title()
    pattern = "|".join(sorted(map(re.escape, pairs), key=len, reverse=True))
    return re.sub(rf"(?<![a-z])({pattern})(?![a-z]{{2}})", lambda m: pairs[m.group()], text)


FILLERS = word_list("""
    river copper lantern maple thunder velvet orchard saddle compass mirror
""")


def other_input(row: Row, maker: Maker) -> Row | None:
    """The same instruction with another input: other numbers or words in it and the output."""
    if not row.input:
        return None
    numbers = {n: _shown(float(n) + maker.rng.randint(1, 9)) for n in NUMBER.findall(row.input)}
    if numbers and maker.rng.random() < 0.7:
        new = replace(row, input=_numbers(row.input, numbers), output=_numbers(row.output, numbers))
    else:
        words = re.findall(r"\b[A-Za-z]{4,}\b", row.input)[:40]
        if not words:
            return None
        size = min(len(words), maker.rng.choice([1, 2, 4]))
        swaps = {w.lower(): maker.rng.choice(FILLERS) for w in maker.rng.sample(words, size)}
        new = replace(row, input=swap_words(row.input, swaps), output=swap_words(row.output, swaps))
    return new if new.input != row.input and new.output != row.output else None


FLIPS = TABLES["FLIPS"]
CODE_FLIPS = TABLES["CODE_FLIPS"]
FROM_TO = re.compile(
    r"\b([Cc]onvert\w*|[Tt]ranslate\w*)( .*?\bfrom )([\w +#]+?)( (?:in)?to )([\w+#]+)"
)


def flipped(row: Row, maker: Maker) -> Row | None:
    """The opposite is asked, and the output changed accordingly."""
    text = ask(row)[1]
    for old, new in maker.entries(FLIPS):
        if re.search(rf"\b{old}\b", text, re.IGNORECASE):
            request = with_ask(row, _forms(text, old, new))
            if request is None:
                return None
            output = _forms(row.output, old, new)
            if output == row.output:
                output = _code_flip(row.output)
            return replace(request, output=output) if output != row.output else None
    if " more " in text and "?" in text and not looks_like_code(row.output):
        return _fewer(row)
    return None


def _fewer(row: Row) -> Row | None:
    """ "More" made "fewer" in a word problem: its first sum becomes a difference."""
    at = re.search(r"\d \+ \d|\d\+\d", row.output)
    if not at:
        return None
    output = _recomputed_from(row.output, at.start(), at.group().replace("+", "-"))
    new = with_ask(row, re.sub(r"\bmore\b", "fewer", ask(row)[1], count=1))
    return replace(new, output=output) if new and output else None


def _recomputed_from(output: str, at: int, new: str) -> str | None:
    line = EQUATION.search(output, max(0, output.rfind("\n", 0, at)))
    if not line or not line.start() <= at < line.end(1):
        return None
    flipped = line.group(1).replace(output[at : at + len(new)], new, 1)
    value, old = _value(flipped), _value(line.group(1))
    if value is None or value < 0 or old is None:
        return None
    rest = _numbers(output[line.end() :], {line.group(2): _shown(value)})
    tail = _recomputed(rest, {line.group(2): _shown(value)}) or rest
    return output[: line.start()] + f"{flipped} = {_shown(value)}" + tail


def _code_flip(output: str) -> str:
    for old, new in CODE_FLIPS:
        if old in output:
            return output.replace(old, new)
    return output


LANGUAGES = ("Python", "JavaScript", "Java", "C++", "PHP", "Ruby", "C#", "Go", "Swift", "Kotlin")
LANGUAGE = re.compile(
    r"(?<![\w+#])(Python|JavaScript|Java|C\+\+|PHP|Ruby|C#|Golang|Swift|Kotlin|TypeScript|Rust)"
    r"(?![\w+#])"
)


def other_language(row: Row, maker: Maker) -> Row | None:
    """Another programming language is asked for; the output is written roughly in it."""
    text = ask(row)[1]
    named = set(LANGUAGE.findall(text))
    if len(named) != 1 or not looks_like_code(row.output):
        return None
    old = named.pop()
    new = maker.rng.choice([name for name in LANGUAGES if name != old])
    return with_ask(replace(row, output=_transliterated(row.output, new)), LANGUAGE.sub(new, text))


def _transliterated(code: str, language: str) -> str:
    """Code with the keywords and brackets of another language: a likeness, not a translation."""
    word = {"JavaScript": "function", "Java": "public static Object", "C++": "auto", "Go": "func"}
    word |= {"PHP": "function", "Ruby": "def", "C#": "static object", "Swift": "func"}
    keyword = word.get(language, "def" if language == "Python" else "fun")
    braces = language not in ("Python", "Ruby")
    lines = []
    for line in code.splitlines():
        new = re.sub(r"\b(def|function|func|fun)\b", keyword, line)
        if braces:
            new = re.sub(r":\s*$", " {", new)
            new = new.replace("#", "//") if new.strip().startswith("#") else new
            new = re.sub(r"\bprint\(", _print(language), new)
            new = re.sub(r"([\w)\]'\"])$", r"\1;", new)
        else:
            new = re.sub(r"\s*\{\s*$", ":" if language == "Python" else "", new)
            new = re.sub(r";\s*$", "", new)
            new = re.sub(r"^(\s*)(const|let|var) ", r"\1", new)
            new = new.replace("//", "#").replace("console.log(", "print(")
            new = "end" if new.strip() == "}" and language == "Ruby" else new
            if new.strip() == "}":
                continue
        lines.append(new)
    return "\n".join(lines)


def _print(language: str) -> str:
    known = {"JavaScript": "console.log(", "Java": "System.out.println(", "PHP": "echo ("}
    known |= {"C++": "std::cout << (", "C#": "Console.WriteLine(", "Go": "fmt.Println("}
    return known.get(language, "println(")


def swapped(row: Row, maker: Maker) -> Row | None:
    """Two people or things change places, in the instruction and the output."""
    text = ask(row)[1]
    found_names = re.findall(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b(?! [A-Z])", text)
    names = [n for n in dict.fromkeys(found_names) if n not in NOT_NAMES]
    if len(names) >= 2 and "?" in text and not _tool(row):
        one, two = names[:2]
    elif found := FROM_TO.search(text):
        one, two = found.group(3), found.group(5)
    else:
        return None
    both = {one: two, two: one}
    pattern = rf"\b({re.escape(one)}|{re.escape(two)})\b"
    new = everywhere(row, lambda t: re.sub(pattern, lambda m: both[m.group()], t))
    return new if new.output != row.output else None


NEGATIONS = TABLES["NEGATIONS"]


def negated(row: Row, maker: Maker) -> Row | None:
    """A requirement is negated, and a condition of the output with it."""
    text = ask(row)[1]
    for pattern, new in maker.entries(NEGATIONS):
        if re.search(pattern, text):
            output = _code_flip(row.output)
            if output == row.output:
                output = re.sub(r"\b(is|are|can|was)\b", r"\1 not", row.output, count=1)
            request = with_ask(row, re.sub(pattern, new, text, count=1))
            return replace(request, output=output) if request and output != row.output else None
    return None


UNITS = TABLES["UNITS"]


def other_unit(row: Row, maker: Maker) -> Row | None:
    """Another unit of measurement, in the instruction and the output."""
    text = ask(row)[1]
    for old, new in maker.entries(UNITS):
        pattern = r"\$" if old == "$" else rf"\b{old}\b"
        if re.search(pattern, text, re.IGNORECASE):
            if old == "$":
                made = everywhere(row, lambda t: t.replace("$", "£"))
            else:
                made = everywhere(row, lambda t, o=old, n=new: _forms(t, o, n))  # type: ignore[misc]
            return made if made.instruction != row.instruction else None
    return None


MOMENTS = TABLES["MOMENTS"]


def other_moment(row: Row, maker: Maker) -> Row | None:
    """Another time or place, in the instruction and where the output names it."""
    text = ask(row)[1]
    for old, new in maker.entries(MOMENTS):
        if re.search(rf"\b{old}\b", text):
            return everywhere(row, lambda t, o=old, n=new: re.sub(rf"\b{o}\b", n, t))  # type: ignore[misc]
    return None


QUANTITIES = TABLES["QUANTITIES"]


def other_quantity(row: Row, maker: Maker) -> Row | None:
    """Another quantity in words, in the instruction and where the output names it."""
    text = ask(row)[1]
    for old, new in maker.entries(QUANTITIES):
        if re.search(rf"\b{old}\b", text):
            return everywhere(row, lambda t, o=old, n=new: re.sub(rf"\b{o}\b", n, t))  # type: ignore[misc]
    return None


FORMS = TABLES["FORMS"]


def other_form(row: Row, maker: Maker) -> Row | None:
    """Another form of result is asked for, and the output changed where it names it."""
    text = ask(row)[1]
    for old, new in maker.entries(FORMS):
        if re.search(rf"\b{old}\b", text, re.IGNORECASE):
            made = everywhere(row, lambda t, o=old, n=new: _forms(t, o, n))  # type: ignore[misc]
            return made if made.instruction != row.instruction else None
    return None


def constrained(row: Row, maker: Maker) -> Row | None:
    """A constraint is added that the output then meets."""
    lines = row.output.splitlines()
    last = NUMBER.findall(row.output)
    ways = [
        ("Give the answer twice.", f"{row.output}\n\n{row.output}"),
        ("Number each line of the answer.", "\n".join(f"{i}. {t}" for i, t in enumerate(lines, 1))),
        ("Answer as a JSON object with the key 'answer'.", f'{{"answer": {row.output!r}}}'),
        ("End the answer with the word OVER.", f"{row.output}\nOVER"),
        ("Begin with a heading.", f"# Answer\n\n{row.output}"),
        ("Add a short warning at the end.", f"{row.output}\nWarning: check this before use."),
        ("Format the answer as an HTML paragraph.", f"<p>{row.output}</p>"),
    ]
    if looks_like_code(row.output):
        ways.append(("Add a comment above each line.", "\n".join(f"# step\n{t}" for t in lines)))
        ways.append(
            ("Leave out all comments and blank lines.", "\n".join(filter(str.strip, lines)))
        )
    elif last and len(lines) > 1:
        ways.append(("Only give the final number.", last[-1]))
    words, output = maker.rng.choice(ways)
    text = ask(row)[1].rstrip()
    added = f"{text} {words}" if text.endswith((".", "?", "!")) else f"{text}. {words}"
    return replace(with_ask(row, added) or row, output=output) if output != row.output else None


SAME: dict[str, Change] = {
    "copy": copy,
    "surface": surface,
    "reworded": reworded,
    "reworded, output too": reworded_both,
    "typos": typos,
    "contractions": contractions,
    "politeness at the end": politeness,
    "sentences split or merged": sentences,
    "emphasis marks": emphasis,
    "context sentence in front": context,
    "abbreviations": abbreviations,
    "filling words": filling,
}
OTHER: dict[str, Change] = {
    "other numbers": other_numbers,
    "other entities": other_entities,
    "other input": other_input,
    "flipped meaning": flipped,
    "other programming language": other_language,
    "negated requirement": negated,
    "roles swapped": swapped,
    "other unit": other_unit,
    "other time or place": other_moment,
    "added constraint": constrained,
    "other quantity word": other_quantity,
    "other form of result": other_form,
}
ODD_ONLY = frozenset(
    (
        "other quantity word",
        "sentences split or merged",
        "abbreviations",
        "filling words",
        "other unit",
        "other time or place",
        "other form of result",
    )
)

# pairs ------------------------------------------------------------------------------------


def labelled_pairs(folder: Path, a_kind: int = A_KIND) -> list[Pair]:
    """Up to `a_kind` pairs of every kind and half, from the files in turn, always the same."""
    files = [list(enumerate(rows_of(folder, name))) for name in MIXTURE]
    pairs = list(_real_pairs(files, a_kind // 2))
    for kind, change in {**SAME, **OTHER}.items():
        rng = random.Random(kind)
        for odd in (True,) if kind in ODD_ONLY else (False, True):
            pairs.extend(made(kind, change, kind in SAME, files, Maker(odd, rng), a_kind))
    return pairs


def made(
    kind: str,
    change: Change,
    same: bool,
    files: Sequence[Sequence[tuple[int, Row]]],
    maker: Maker,
    most: int,
) -> Iterator[Pair]:
    """Up to `most` pairs of one kind, from the maker's half of the files, in turn."""
    turns = []
    for rows in files:
        half = [row for i, row in rows if i % 2 == maker.odd]
        maker.rng.shuffle(half)
        turns.append(iter(half))
    count = 0
    while turns and count < most:
        for turn in list(turns):
            for row in turn:
                second = change(row, maker)
                if second is not None and (kind == "copy" or second.text != row.text):
                    other = replace(second, id=f"{row.id}-{kind}", position=row.position + 1)
                    yield Pair(row, other, same, kind, maker.odd)
                    count += 1
                    break
            else:
                turns.remove(turn)
            if count == most:
                return


def _real_pairs(files: Sequence[Sequence[tuple[int, Row]]], most: int) -> Iterator[Pair]:
    """Real rows with the same task and another answer, and with only the language another."""
    tasks: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    frames: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for rows in files:
        for i, row in rows:
            tasks[normalised(row.task)].append((i, row))
            if LANGUAGE.search(row.instruction):
                frames[normalised(LANGUAGE.sub("X", row.instruction))].append((i, row))
    count: dict[tuple[str, bool], int] = defaultdict(int)
    for kind, same, groups in (
        ("real: same task", True, tasks),
        ("real: other language", False, frames),
    ):
        for (i, first), (_, second), *_ in (g for g in groups.values() if len(g) > 1):
            languages = [LANGUAGE.findall(row.instruction) for row in (first, second)]
            if (same or languages[0] != languages[1]) and count[kind, bool(i % 2)] < most:
                count[kind, bool(i % 2)] += 1
                yield Pair(first, second, same, kind, bool(i % 2))


if __name__ == "__main__":
    from corpora import parser

    shown = random.Random(0)
    by_kind: dict[str, list[Pair]] = defaultdict(list)
    for pair in labelled_pairs(parser(__doc__).parse_args().data):
        by_kind[pair.kind].append(pair)
    for kind, some in by_kind.items():
        print(f"\n# {kind}: {len(some)} pairs")
        for pair in shown.sample(some, min(4, len(some))):
            for row in (pair.first, pair.second):
                print(f"  {ask(row)[1][-200:]!r} | {row.input[:50]!r} | {row.output[:90]!r}")
            print()
