"""Ways in which a good row's response goes wrong, made from real rows.

The split of the kinds was decided before any signal was written: those in DEVELOPED may be looked
at while signals, points and thresholds are chosen; those in UNSEEN are only reported.
"""

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from lift_agent.agents.signals import looks_like_code
from lift_agent.records import Row


@dataclass(frozen=True)
class Neighbours:
    """Rows of the same file that lend their responses: one by chance, and the nearest task."""

    other: Row
    nearest: Row


Damage = Callable[[Row, Neighbours, random.Random], str]

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "As an AI language model, I am not able to do this task.",
    "I cannot assist with that request. Please consult a professional.",
    "Sorry, I am unable to provide an answer to this question.",
    "I apologize, but I cannot fulfill this request.",
)
LEFTOVERS = (
    "{output}<|im_end|>\n<|im_start|>user\n{asked}",
    "{output}</s><s>[INST] {asked} [/INST]",
    "### Instruction:\n{asked}\n\n### Response:\n{output}",
    "{output}\n\n### Instruction:\n{asked}\n\n### Response:\n",
    "{output}<|endoftext|>",
)
ASKS_BACK = (
    "Could you please give me some more details about what you would like?",
    "What exactly do you need? Tell me more, and I will get started right away.",
    "Sure! Please provide the information so that I can begin.",
    "I want to be certain that I understand you. Can you say it in other words?",
)
FILLER = (
    "This is a great and important question. There are many factors to consider, and the best "
    "approach depends on your situation and your goals. Take your time and weigh your options.",
    "Thank you for reaching out! I would be happy to help you with this today. I hope that this "
    "information is useful, and feel free to contact me again at any time.",
    "In conclusion, it is clear that this topic has advantages and disadvantages. Everyone has "
    "their own opinion about it, and more research is needed before anything can be said.",
    "Everything is possible with dedication and hard work. Always follow best practices, stay up "
    "to date, and keep learning, and you will see the results that you hope for.",
)
FOREIGN = {
    "German": "Zuerst muss man sich die Aufgabe genau ansehen. Danach werden alle Schritte der "
    "Reihe nach ausgeführt. Am Ende prüft man noch einmal, ob das Ergebnis wirklich stimmt.",
    "Spanish": "Primero hay que leer el problema con mucha atención. Después se hacen todos los "
    "pasos en el orden correcto. Al final conviene comprobar que la respuesta es la esperada.",
    "Russian": "Сначала нужно внимательно прочитать задачу. Затем выполняются все шаги по порядку. "
    "В конце следует ещё раз проверить, что ответ получился верным.",
    "Chinese": "首先需要仔细阅读题目。然后按照顺序完成所有的步骤。"
    "最后再检查一遍,确认答案是正确的。",
}


def _cut_between_words(row: Row, lent: Neighbours, dice: random.Random) -> str:
    words = re.findall(r"\S+\s*", row.output)
    return "".join(words[: int(len(words) * dice.uniform(0.3, 0.8))]).rstrip()


def _cut_in_word(row: Row, lent: Neighbours, dice: random.Random) -> str:
    inner = [m.start() + len(m.group()) // 2 for m in re.finditer(r"\w{4,}", row.output)]
    if not inner:
        return ""
    low, high = len(row.output) * 0.2, len(row.output) * 0.9
    return row.output[: dice.choice([i for i in inner if low < i < high] or inner)]


def _looped(row: Row, lent: Neighbours, dice: random.Random) -> str:
    return " ".join([row.output[: dice.randint(40, 120)]] * dice.randint(5, 20))


def _stuck(row: Row, lent: Neighbours, dice: random.Random) -> str:
    words = row.output.split()
    start = row.output[: len(row.output) // 2]
    return f"{start} {(dice.choice(words) + ' ') * dice.randint(15, 60)}".strip()


def _code_without_a_bracket(row: Row, lent: Neighbours, dice: random.Random) -> str:
    marks = [i for i, c in enumerate(row.output) if c in "()[]{}\"'"]
    if not looks_like_code(row.output) or not marks:
        return ""
    at = dice.choice(marks)
    return row.output[:at] + row.output[at + 1 :]


def _code_without_lines(row: Row, lent: Neighbours, dice: random.Random) -> str:
    lines = row.output.splitlines()
    if not looks_like_code(row.output) or len(lines) < 4:
        return ""
    lost = set(dice.sample(range(len(lines)), max(1, round(0.3 * len(lines)))))
    return "\n".join(line for i, line in enumerate(lines) if i not in lost)


def _one_word(row: Row, lent: Neighbours, dice: random.Random) -> str:
    return dice.choice((" ", "ok", "N/A", "None", "...", "Yes.", "Answer:", "response"))


def _shuffled_words(row: Row, lent: Neighbours, dice: random.Random) -> str:
    words = row.output.split()
    dice.shuffle(words)
    return " ".join(words)


def _shuffled_sentences(row: Row, lent: Neighbours, dice: random.Random) -> str:
    parts = re.findall(r".+?(?:[.!?;]\s+|\n+|$)", row.output, re.DOTALL)
    if len(parts) < 3:
        return ""
    dice.shuffle(parts)
    return "\n".join(part.strip("\n") for part in parts)


def _noise(row: Row, lent: Neighbours, dice: random.Random) -> str:
    signs = "abcdefghijklmnopqrstuvwxyz0123456789#$%&*+<>@^~|\ufffd\x07"
    return "".join(dice.choice(signs) if dice.random() < 0.15 else c for c in row.output)


def _mojibake(row: Row, lent: Neighbours, dice: random.Random) -> str:
    typeset = row.output.replace("'", "’").replace(" - ", " – ").replace('"', "”")
    typeset = re.sub(r" (?=\d)", "\u00a0", typeset)
    typeset = re.sub(r"e(?=\w)", lambda _: "é" if dice.random() < 0.2 else "e", typeset)
    return typeset.encode().decode("cp1252", errors="replace")


def _escaped(row: Row, lent: Neighbours, dice: random.Random) -> str:
    if dice.random() < 0.5:
        lines = html.escape(row.output).splitlines()
        return f'<div class="text"><p>{"<br/>&nbsp;".join(lines)}</p></div>'
    return json.dumps(json.dumps(row.output))


def _echo(row: Row, lent: Neighbours, dice: random.Random) -> str:
    return row.task


def _canned(*texts: str) -> Damage:
    return lambda row, lent, dice: dice.choice(texts)


DEVELOPED: dict[str, Damage] = {
    "cut between words": _cut_between_words,
    "another row's response": lambda row, lent, dice: lent.other.output,
    "a sentence over and over": _looped,
    "echo of the instruction": _echo,
    "refusal": _canned(*REFUSALS),
    "code without a bracket or quote": _code_without_a_bracket,
    "one word, or nothing": _one_word,
    "words shuffled": _shuffled_words,
    "characters replaced by noise": _noise,
    "special tokens, prompt text": lambda row, lent, dice: dice.choice(LEFTOVERS).format(
        output=row.output, asked=lent.other.task
    ),
}
UNSEEN: dict[str, Damage] = {
    "cut in a word": _cut_in_word,
    "response of the nearest row": lambda row, lent, dice: lent.nearest.output,
    "stuck on a word": _stuck,
    "code without a third of its lines": _code_without_lines,
    "sentences shuffled": _shuffled_sentences,
    "mojibake": _mojibake,
    "escaped, or HTML": _escaped,
    "asks back": _canned(*ASKS_BACK),
    "filler that says nothing": _canned(*FILLER),
    "another language": _canned(*FOREIGN.values()),
}


def wrong_number(row: Row, lent: Neighbours, dice: random.Random) -> str:
    """The response with another last number, which no cheap signal can know."""
    found = list(re.finditer(r"\d+", row.output))
    if not found:
        return ""
    last = found[-1]
    other = int(last.group()[-9:]) + dice.randint(1, 9)
    return row.output[: last.start()] + str(other) + row.output[last.end() :]
