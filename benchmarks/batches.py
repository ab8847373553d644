"""Items lost or paid for twice when a run with batches is killed (kill -9) at random moments.

    .venv/bin/python benchmarks/batches.py            # 20 crashes with each provider

A process asks for a first and then for a second answer on each of many questions, through the
gateway and its batches, from a server that has the batch endpoints of OpenAI and of Anthropic and
works slowly. It is killed and started again until the crashes are done, then left to end. The
server counts how often each request was answered, and so paid for.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from harness import ROOT, environment

from lift_agent.llms.batches.batcher import Batcher
from lift_agent.llms.batches.opening import service_of
from lift_agent.llms.budget import Budget
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.messages import Request
from lift_agent.llms.providers import open_backend
from lift_agent.llms.stopping import StopSignal
from lift_agent.stores.ledger import Ledger

MODELS = {"openai": "openai:bench", "anthropic": "anthropic:bench"}
LONGEST = 1.5  # seconds between a start and its end
READY = "ready"


async def ask_all(provider: str, address: str, folder: Path, questions: int) -> int:
    """One process of the run; returns how many questions have no second answer."""
    backend = open_backend(MODELS[provider], f"{address}/v1" if provider == "openai" else None)
    backend.capabilities.worked.add("text")
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        budget, signal, service = (
            Budget(None, ledger.calls.spent()),
            StopSignal(),
            service_of(backend),
        )
        assert service
        batcher = Batcher(service, backend, ledger.batches, budget, signal, poll=0.05, gather=0.05)
        batcher.start()
        gateway = Gateway(backend, ledger.calls, budget, stop_signal=signal, batcher=batcher)
        print(READY, flush=True)

        async def twice(number: int) -> bool:
            await asyncio.sleep(number % 40 / 10)  # so that there are several batches
            text = f"question {number}"
            for _ in range(2):
                request = Request("bench@1", (("user", text),), 0.0, 64)
                text = (await gateway.ask(request, agent="bench")).text
            return bool(text)

        done = await asyncio.gather(*(twice(n) for n in range(questions)))
        await batcher.close()
        same = budget.spent.tokens == ledger.calls.spent().tokens
    if backend.close:
        await backend.close()
    return done.count(False) + (not same)


def crash(provider: str, crashes: int, questions: int, rng: random.Random) -> bool:
    """Kill and restart a run; print what was lost and paid twice, return whether nothing was."""
    sys.path.insert(0, str(ROOT / "tests"))
    from batch_server import BatchServer, said

    def fate(text: str) -> str:
        """Some requests expire, or meet an error, in their batch."""
        return {0: "expired", 1: "overloaded"}.get(sum(text.encode()) % 23, "")

    with (
        tempfile.TemporaryDirectory() as folder,
        BatchServer(lambda m: f"More on {said({'messages': m})}", fate=fate, pace=3) as server,
    ):
        env = {
            **environment(Path(folder)),
            "ANTHROPIC_BASE_URL": server.address,
            "ANTHROPIC_API_KEY": "sk-benchmark",
        }
        command = [sys.executable, __file__, "--child", provider, server.address, folder]
        command += ["--questions", str(questions)]
        killed = 0
        for crashing in [*[True] * crashes, False]:
            child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
            assert child.stdout
            assert child.stdout.readline().strip() == READY
            if crashing:
                time.sleep(rng.uniform(0, LONGEST))
                child.kill()
            killed += child.wait() == -signal.SIGKILL
            child.stdout.close()
        with closing(Ledger(Path(folder) / "ledger.sqlite")) as ledger:
            kept = {call.key for call in ledger.calls.find() if not call.error}
            made, open_ones = ledger.batches.batches(), ledger.batches.open_batches()
        paid, single = server.state.paid, server.state.single
        lost = 2 * questions - len(kept)
        # A single request that was in flight at a crash is sent again, as without batches.
        in_flight = sum(max(0, times - 1) for times in single.values())
        twice = sum(times - 1 for times in paid.values()) - in_flight
        print(
            f"{provider:9} {killed} crashes, {len(made)} batches "
            f"({sum(b['state'] == 'unsent' for b in made)} never sent), {len(paid)} requests paid: "
            f"lost {lost}, paid for twice {twice}, batches left open {len(open_ones)}; "
            f"single requests in flight at a crash {in_flight}"
        )
        return not (lost or twice or open_ones) and killed == crashes


def main() -> int:
    """Crash runs with both providers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crashes", type=int, default=20)
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        provider, address, folder = args.child
        return asyncio.run(ask_all(provider, address, Path(folder), args.questions))
    rng = random.Random(args.seed)
    whole = [crash(name, args.crashes, args.questions, rng) for name in MODELS]
    print("(to reach: none lost, none paid for twice)")
    return int(not all(whole))


if __name__ == "__main__":
    raise SystemExit(main())
