"""The scripted model, which fails on one fusion in three."""

import hashlib

from scripted_model import answer as right


def answer(messages):
    last = messages[-1]["content"]
    if "Task A" in last and hashlib.sha256(last.encode()).digest()[0] % 3 == 0:
        raise ValueError("the model's own fault")
    return right(messages)
