"""A chat model by script: answers every prompt of the agents sensibly and deterministically."""

import hashlib
import json
import re


def answer(messages):
    system, last = messages[0]["content"], messages[-1]["content"]
    if "You name groups" in system:
        words = re.findall(r"[A-Za-z]{5,}", last.split("{")[0])
        name = " ".join(words[2:5]).capitalize() or "Small group"
        return json.dumps({"name": name[:48], "brief": f"Asks for {name}. Missing is depth."[:240]})
    if "You compare two tasks" in system:
        return json.dumps({"reason": "Another number.", "same": False})
    if "You grade one row" in system:
        draw = int(hashlib.sha256(last.encode()).hexdigest(), 16)
        return json.dumps(
            {
                "reason": "Correct and clear.",
                "clarity": draw % 16,
                "difficulty": draw // 16 % 26,
                "explanations": draw // 500 % 26,
                "accuracy": draw // 20000 % 36,
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
