"""A chat model by script: answers every prompt of the agents sensibly and deterministically."""

import hashlib
import json
import re


def answer(messages):
    system, last = messages[0]["content"], messages[-1]["content"]
    if "You name gaps" in system:
        told = re.findall(r"^- (.+)", last, re.MULTILINE)
        words = [*re.findall(r"[A-Za-z]{5,}", " ".join(told[-1:])), "Small", "group"]
        name = " ".join([words[0], words[-1], hashlib.sha256(last.encode()).hexdigest()[:3]])
        return json.dumps({"name": name[:48], "brief": f"Asks for {name}. Missing is depth."[:240]})
    if "You plan what a dataset" in system:
        words = re.findall(r"[a-z]{4,}", last.split("Covered")[0].split("\n", 1)[1].lower())
        words = [*sorted(sorted(set(words)), key=words.count)[:3], "work", "time", "place"]
        return json.dumps(
            {
                "group": f"tasks on {words[0]}",
                "skill": f"teaching a child about {words[0]}",
                "topic": f"the history of {words[1]}",
                "level": f"hard questions on {words[1]} and {words[2]}",
            }
        )
    if "You write what people would ask" in system:
        theme = last.split("Theme: ")[1].split("\n")[0]
        forms = (
            "Explain",
            "Compare two books about",
            "Write a short essay on",
            "Name six facts on",
            "Give examples and sources for",
        )
        return "\n".join(f"{form} {theme}, {_things(form + theme)}." for form in forms) + "\nNo"
    if "You check requests" in system:
        count = len(re.findall(r"^\d+\. ", last, re.MULTILINE))
        return json.dumps({"verdicts": ["yes"] * (count - 1) + ["no"]})
    if "You sort things" in system:
        return json.dumps({"reason": "It grows.", "kind": "living"})
    if "You compare two tasks" in system:
        return json.dumps({"reason": "Another number.", "same": False})
    if "You compare two rows" in system:
        first, second = last.split("\n\nAnswer with")[0][len("First row") :].split("Second row")
        draws = [hashlib.sha256(row.strip().encode()).hexdigest() for row in (first, second)]
        better = "first" if draws[0] >= draws[1] else "second"
        return json.dumps({"reason": "It teaches more.", "better": better})
    if "You grade one row" in system:
        draw = int(hashlib.sha256(last.encode()).hexdigest(), 16)
        return json.dumps(
            {
                "reason": "Correct and clear.",
                "clarity": draw % 16,
                "difficulty": draw // 16 % 26,
                "explanations": draw // 500 % 26,
                "accuracy": draw // 20000 % 36,
                "concatenation": False,
            }
        )
    if "two tasks" in system:
        parts = [_start(task) for task in re.findall(r"Task [ABC]: (.+)", last)]
        return (
            f"Using what is needed to {', and to '.join(parts[:-1])}, describe in detail how "
            f"somebody would then {parts[-1]}."
        )
    if "rewrite a" in system:
        means, task = last.split("\n\n", 1)
        words = " ".join(means.rstrip(".").lower().split()[-3:])
        return f"Under a strict limit of forty words and with {words}, {_start(task)}."
    digest = hashlib.sha256(last.encode()).hexdigest()[:6]
    return f"Here is a worked answer ({digest}): {_start(last)}, step by step, with the reasons."


def _start(task):
    words = re.findall(r"\w+", task)[:12]
    return " ".join([words[0].lower(), *words[1:]]) if words else "think"


def _things(text):
    things = ("rivers", "doors", "clocks", "poems", "taxes", "bridges", "seeds", "engines")
    digest = hashlib.sha256(text.encode()).digest()
    return "with " + ", ".join(f"{things[i % 8]} and {things[i // 8 % 8]}" for i in digest[:3])
