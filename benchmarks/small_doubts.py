"""How well a model settles the redundancy agent's doubts, beside the rules without a model.

    .venv/bin/python benchmarks/small_doubts.py --llm local: --pairs 120

The doubts are those of the labelled pairs of `pairs.py` and `fresh_pairs.py`, the reported half,
which the agent puts to a model as it runs in the product.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from corpora import embedded, parser
from fresh_pairs import fresh_pairs
from pairs import labelled_pairs

from lift_agent.agents.redundancy import RedundancyAgent
from lift_agent.config import RunConfig
from lift_agent.geometry.neighbours import Vectors
from lift_agent.llms.budget import Budget
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.providers import open_backend
from lift_agent.records import Row, Verdict
from lift_agent.stores.ledger import LEDGER, Ledger

CANDIDATE = RunConfig.model_fields["candidate_cosine"].default
BORDERLINE = RunConfig.model_fields["borderline_cosine"].default
Asked = tuple[Row, Row, Vectors]  # the two rows and their vectors


class Refusing:
    """A gateway that answers nothing, so that what is asked can be told by its verdict."""

    def room(self, _: int) -> None:
        """No limit."""

    async def ask_for(self, *_: object, **__: object) -> object:
        """No answer."""
        return type("Answer", (), {"value": None, "error": "not asked"})


async def verdict_on(pair: Asked, gateway: object) -> Verdict:
    """The agent's verdict on the second row beside the first, which stays."""
    first, second, vectors = pair
    agent = RedundancyAgent(gateway, CANDIDATE, BORDERLINE)  # type: ignore[arg-type]
    verdicts, _ = await agent.check([second], vectors[1:], [first], vectors[:1])
    return verdicts[0]


async def main() -> None:
    """Put doubts to the model and to the rules, and print how often each is right."""
    options = parser(__doc__)
    options.add_argument("--llm", default="local:")
    options.add_argument("--base-url")
    options.add_argument("--pairs", type=int, default=120, help="of those in doubt, by chance")
    given = options.parse_args()
    pairs = [pair for pair in labelled_pairs(given.data) if pair.reported]
    pairs += fresh_pairs(given.data)
    random.Random(0).shuffle(pairs)
    both = embedded([row.text for pair in pairs for row in (pair.first, pair.second)])
    vectors = list(both.reshape(len(pairs), 2, -1))
    doubts: list[tuple[Asked, bool, bool]] = []  # with the label, and what the rules say
    for pair, two in zip(pairs, vectors, strict=True):
        asked = (pair.first, pair.second, two)
        if "not asked" in (verdict := await verdict_on(asked, Refusing())).reason:
            doubts.append((asked, pair.same, verdict.duplicate))
    doubts = doubts[: given.pairs]
    backend = open_backend(given.llm, given.base_url)
    with tempfile.TemporaryDirectory() as folder, closing(Ledger(Path(folder) / LEDGER)) as ledger:
        gateway = Gateway(backend, ledger, Budget())
        began = time.monotonic()
        found = [await verdict_on(asked, gateway) for asked, _, _ in doubts]
        seconds = (time.monotonic() - began) / len(doubts)
        if backend.close:
            await backend.close()
    answered = np.asarray([verdict.layer == "model" for verdict in found])
    said = np.asarray([verdict.duplicate for verdict in found])
    truth, rules = (np.asarray([doubt[i] for doubt in doubts]) for i in (1, 2))
    print(f"{len(doubts)} doubts, {truth.mean():.0%} of them duplicates")
    right = np.mean(said[answered] == truth[answered])
    print(f"{given.llm:16} {right:.2f} right of {answered.sum()} answers  {seconds:.2f} s each")
    print(f"{'the rules alone':16} {np.mean(rules == truth):.2f} right")


if __name__ == "__main__":
    asyncio.run(main())
