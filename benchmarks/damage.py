"""Ways in which a good row's response goes wrong, made from real rows.

The kinds in DEVELOPED may be looked at while signals, points and thresholds are chosen; those in
UNSEEN are only reported. They were written before the signals were last changed, and once their
figures were seen and signals change again, they belong to DEVELOPED.
"""

from __future__ import annotations

import html
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from lift_agent.agents.code import looks_like_code
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
HEADERS = (
    "assistant\n\n{output}",
    "Assistant: {output}",
    "User: {asked}\nBot: {output}",
    "ChatGPT\n2 / 2\n{output}",
    "{output}\n\nRegenerate response",
    "{output}\nHuman: Thank you!\nAI: You are welcome!",
)
PROMISES = (
    "Sure, I will {asked}",
    "To {asked} I would first look at what is needed, and then do it step by step.",
    "Here is the answer to your request to {asked}",
    "The task is to {asked} This can be done in several ways.",
)
ELSEWHERE = (
    "IDENTIFICATION DIVISION.\nPROGRAM-ID. MAIN.\nPROCEDURE DIVISION.\n    DISPLAY 'READY'.\n"
    "    STOP RUN.",
    "fn main() {\n    let items = vec![1, 2, 3];\n    for item in items.iter() {\n"
    '        println!("{}", item);\n    }\n}',
    '#!/bin/sh\nset -e\nfor f in *.txt; do\n  wc -l "$f"\ndone',
    "(defun total (xs)\n  (if (null xs)\n      0\n      (+ (car xs) (total (cdr xs)))))",
    "program main\n  implicit none\n  integer :: i\n  do i = 1, 10\n    print *, i\n  end do\n"
    "end program main",
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


def _cut_between_words(row: Row, lent: Neighbours, rng: random.Random) -> str:
    words = re.findall(r"\S+\s*", row.output)
    return "".join(words[: int(len(words) * rng.uniform(0.3, 0.8))]).rstrip()


def _cut_in_word(row: Row, lent: Neighbours, rng: random.Random) -> str:
    inner = [m.start() + len(m.group()) // 2 for m in re.finditer(r"\w{4,}", row.output)]
    if not inner:
        return ""
    low, high = len(row.output) * 0.2, len(row.output) * 0.9
    return row.output[: rng.choice([i for i in inner if low < i < high] or inner)]


def _looped(row: Row, lent: Neighbours, rng: random.Random) -> str:
    return " ".join([row.output[: rng.randint(40, 120)]] * rng.randint(5, 20))


def _stuck(row: Row, lent: Neighbours, rng: random.Random) -> str:
    words = row.output.split()
    start = row.output[: len(row.output) // 2]
    return f"{start} {(rng.choice(words) + ' ') * rng.randint(15, 60)}".strip()


def _code_without_a_bracket(row: Row, lent: Neighbours, rng: random.Random) -> str:
    marks = [i for i, c in enumerate(row.output) if c in "()[]{}\"'"]
    if not looks_like_code(row.output) or not marks:
        return ""
    at = rng.choice(marks)
    return row.output[:at] + row.output[at + 1 :]


def _code_without_lines(row: Row, lent: Neighbours, rng: random.Random) -> str:
    lines = row.output.splitlines()
    if not looks_like_code(row.output) or len(lines) < 4:
        return ""
    lost = set(rng.sample(range(len(lines)), max(1, round(0.3 * len(lines)))))
    return "\n".join(line for i, line in enumerate(lines) if i not in lost)


def _one_word(row: Row, lent: Neighbours, rng: random.Random) -> str:
    return rng.choice((" ", "ok", "N/A", "None", "...", "Yes.", "Answer:", "response"))


def _shuffled_words(row: Row, lent: Neighbours, rng: random.Random) -> str:
    words = row.output.split()
    rng.shuffle(words)
    return " ".join(words)


def _shuffled_sentences(row: Row, lent: Neighbours, rng: random.Random) -> str:
    parts = _sentences(row.output)
    if len(parts) < 3:
        return ""
    rng.shuffle(parts)
    return "\n".join(part.strip("\n") for part in parts)


def _noise(row: Row, lent: Neighbours, rng: random.Random) -> str:
    signs = "abcdefghijklmnopqrstuvwxyz0123456789#$%&*+<>@^~|\ufffd\x07"
    return "".join(rng.choice(signs) if rng.random() < 0.15 else c for c in row.output)


def _mojibake(row: Row, lent: Neighbours, rng: random.Random) -> str:
    typeset = row.output.replace("'", "’").replace(" - ", " – ").replace('"', "”")
    typeset = re.sub(r" (?=\d)", "\u00a0", typeset)
    typeset = re.sub(r"e(?=\w)", lambda _: "é" if rng.random() < 0.2 else "e", typeset)
    return typeset.encode().decode("cp1252", errors="replace")


def _escaped(row: Row, lent: Neighbours, rng: random.Random) -> str:
    if rng.random() < 0.5:
        lines = html.escape(row.output).splitlines()
        return f'<div class="text"><p>{"<br/>&nbsp;".join(lines)}</p></div>'
    return json.dumps(json.dumps(row.output))


def _echo(row: Row, lent: Neighbours, rng: random.Random) -> str:
    return row.task


def _sentences(text: str) -> list[str]:
    return re.findall(r".+?(?:[.!?;]\s+|\n+|$)", text, re.DOTALL)


def _first_half(row: Row, lent: Neighbours, rng: random.Random) -> str:
    parts = _sentences(row.output)
    return "".join(parts[: (len(parts) + 1) // 2]).rstrip() if len(parts) > 1 else ""


def _without_middle(row: Row, lent: Neighbours, rng: random.Random) -> str:
    parts = _sentences(row.output)
    lost = max(1, round(0.3 * len(parts)))
    if len(parts) < lost + 2:
        return ""
    at = rng.randint(1, len(parts) - lost - 1)
    return "".join(parts[:at] + parts[at + lost :])


def _cut_at_clause(row: Row, lent: Neighbours, rng: random.Random) -> str:
    found = re.finditer(r"[,;:] |\n| (?=and |or |which |because |so )", row.output)
    ends = [m.start() for m in found if m.start() > 0.2 * len(row.output)]
    return row.output[: rng.choice(ends)].rstrip() if ends else ""


def _own_numbers(row: Row, lent: Neighbours, rng: random.Random) -> str:
    own = re.findall(r"\d+", row.task)
    return re.sub(r"\d+", lambda _: rng.choice(own), lent.nearest.output) if own else ""


def _drifted(row: Row, lent: Neighbours, rng: random.Random) -> str:
    own, other = _sentences(row.output), _sentences(lent.other.output)
    if len(own) < 2 or len(other) < 2:
        return ""
    return "".join(own[: len(own) // 2] + other[len(other) // 2 :])


def _undefined_name(row: Row, lent: Neighbours, rng: random.Random) -> str:
    # A name that is used as a value: before a dot, an index or a closing bracket.
    names = list(re.finditer(r"\b[a-z_]\w*(?=[.\[)])", row.output))
    if not looks_like_code(row.output) or not names:
        return ""
    at = rng.choice(names)
    new = rng.choice(["result2", "tmp_val", "self_obj", "dataFrame", "xs", "node_ptr"])
    return row.output[: at.start()] + new + row.output[at.end() :]


def _code_without_a_line(row: Row, lent: Neighbours, rng: random.Random) -> str:
    lines = row.output.splitlines()
    full = [i for i, line in enumerate(lines) if line.strip()]
    if not looks_like_code(row.output) or len(full) < 3:
        return ""
    lost = rng.choice(full)
    return "\n".join(line for i, line in enumerate(lines) if i != lost)


def _code_elsewhere(row: Row, lent: Neighbours, rng: random.Random) -> str:
    return rng.choice(ELSEWHERE) if looks_like_code(row.output) else ""


def _last_paragraph_twice(row: Row, lent: Neighbours, rng: random.Random) -> str:
    parts = row.output.rstrip().split("\n\n")
    last = parts[-1] if len(parts) > 1 else _sentences(row.output.rstrip())[-1]
    return f"{row.output.rstrip()}\n\n{last.strip()}"


def _chat_header(row: Row, lent: Neighbours, rng: random.Random) -> str:
    return rng.choice(HEADERS).format(output=row.output, asked=row.instruction)


def _promise(row: Row, lent: Neighbours, rng: random.Random) -> str:
    asked = row.instruction.strip()
    return rng.choice(PROMISES).format(asked=asked[:1].lower() + asked[1:])


def _canned(*texts: str) -> Damage:
    return lambda row, lent, rng: rng.choice(texts)


DEVELOPED: dict[str, Damage] = {
    "cut between words": _cut_between_words,
    "another row's response": lambda row, lent, rng: lent.other.output,
    "a sentence over and over": _looped,
    "echo of the instruction": _echo,
    "refusal": _canned(*REFUSALS),
    "code without a bracket or quote": _code_without_a_bracket,
    "one word, or nothing": _one_word,
    "words shuffled": _shuffled_words,
    "characters replaced by noise": _noise,
    "special tokens, prompt text": lambda row, lent, rng: rng.choice(LEFTOVERS).format(
        output=row.output, asked=lent.other.task
    ),
    "cut in a word": _cut_in_word,
    "response of the nearest row": lambda row, lent, rng: lent.nearest.output,
    "stuck on a word": _stuck,
    "code without a third of its lines": _code_without_lines,
    "sentences shuffled": _shuffled_sentences,
    "mojibake": _mojibake,
    "escaped, or HTML": _escaped,
    "asks back": _canned(*ASKS_BACK),
    "filler that says nothing": _canned(*FILLER),
    "another language": _canned(*FOREIGN.values()),
}
UNSEEN: dict[str, Damage] = {
    "last half of the sentences lost": _first_half,
    "sentences lost in the middle": _without_middle,
    "cut at the end of a clause": _cut_at_clause,
    "nearest row's response, own numbers": _own_numbers,
    "goes on as another row's response": _drifted,
    "code with an undefined name": _undefined_name,
    "code without a line": _code_without_a_line,
    "code of another language": _code_elsewhere,
    "last paragraph twice": _last_paragraph_twice,
    "header of a chat": _chat_header,
    "promises the answer": _promise,
}


def wrong_number(row: Row, lent: Neighbours, rng: random.Random) -> str:
    """The response with another last number, which no cheap signal can know."""
    found = list(re.finditer(r"\d+", row.output))
    if not found:
        return ""
    last = found[-1]
    other = int(last.group()[-9:]) + rng.randint(1, 9)
    return row.output[: last.start()] + str(other) + row.output[last.end() :]
