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
from verdicts import NoModel, agent_verdicts

from lift_agent.llms.budget import Budget
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.providers import open_backend
from lift_agent.stores.layout import LEDGER
from lift_agent.stores.ledger import Ledger


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
    texts = [row.text for pair in pairs for row in (pair.first, pair.second)]
    vectors = embedded(texts).reshape(len(pairs), 2, -1)
    shown = await agent_verdicts(pairs, vectors[:, 0], vectors[:, 1], NoModel())
    asked = [i for i, verdict in enumerate(shown) if verdict.layer == "model"][: given.pairs]
    doubts, first, second = [pairs[i] for i in asked], vectors[asked, 0], vectors[asked, 1]
    alone = await agent_verdicts(doubts, first, second, None)
    backend = open_backend(given.llm, given.base_url)
    with tempfile.TemporaryDirectory() as folder, closing(Ledger(Path(folder) / LEDGER)) as ledger:
        gateway = Gateway(backend, ledger.calls, Budget())
        began = time.monotonic()
        found = await agent_verdicts(doubts, first, second, gateway)
        seconds = (time.monotonic() - began) / len(doubts)
        if backend.close:
            await backend.close()
    truth = np.asarray([pair.same for pair in doubts])
    rules, said = (np.asarray([v.duplicate for v in verdicts]) for verdicts in (alone, found))
    answered = np.asarray([verdict.layer == "model" for verdict in found])
    print(f"{len(doubts)} doubts, {truth.mean():.0%} of them duplicates")
    right = np.mean(said[answered] == truth[answered])
    print(f"{given.llm:16} {right:.2f} right of {answered.sum()} answers  {seconds:.2f} s each")
    print(f"{'the rules alone':16} {np.mean(rules == truth):.2f} right")


if __name__ == "__main__":
    asyncio.run(main())
