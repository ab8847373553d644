"""Requests a second through the whole gateway, over those of LangChain's bare client.

    .venv/bin/python benchmarks/gateway_rate.py

A server in another process answers at once. The same judging requests go through the gateway
(keys, budget, throttle, ledger, call cache, parsing) and through `ChatOpenAI.ainvoke`, in turns;
the median of the turns is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from lift_agent.agents.judge import Rubric
from lift_agent.agents.prompts import load
from lift_agent.graph.pool import for_each
from lift_agent.llms.budget import Budget, Caps
from lift_agent.llms.gateway import Gateway
from lift_agent.llms.hosted import open_openai
from lift_agent.llms.messages import Request
from lift_agent.llms.throttle import Throttle
from lift_agent.stores.cache import SharedCache
from lift_agent.stores.ledger import Ledger

TARGET = 0.8
ANSWER = {"reason": "Fine.", "clarity": 9, "difficulty": 9, "explanations": 9, "accuracy": 9}
ANSWER["concatenation"] = False


def serve(port: multiprocessing.Queue) -> None:
    """Answer every request at once, with the same judgement."""
    from aiohttp import web

    message = {"role": "assistant", "content": json.dumps(ANSWER)}
    whole = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 30, "total_tokens": 430},
    }
    content = json.dumps(whole).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=content, content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def request(number: int) -> Request:
    """A judging request like no other."""
    return load("judge").ask(
        instruction=f"Explain the {number}th of many things, with an example. " * 3,
        input="",
        response=f"The {number}th thing is explained like so. " * 12,
    )


async def gateway_rate(url: str, numbers: range, concurrency: int, folder: Path) -> float:
    """Requests a second through the gateway."""
    backend = open_openai("openai:bench", "bench", url, prices=(1.0, 1.0))
    with (
        closing(Ledger(folder / "ledger.sqlite")) as ledger,
        closing(SharedCache(folder / "calls.sqlite")) as cache,
    ):
        gateway = Gateway(
            backend,
            ledger.calls,
            Budget(Caps(10**9, 10**12, 1e9, 1e9)),
            Throttle("bench", concurrency),
            cache=cache,
        )

        async def ask(number: int) -> None:
            parsed = await gateway.ask_for(Rubric, request(number), agent="judge")
            assert parsed.value, parsed.error

        rate = await timed(ask, numbers, concurrency)
    assert backend.close
    await backend.close()
    return rate


async def bare_rate(url: str, numbers: range, concurrency: int) -> float:
    """Requests a second through LangChain's own client."""
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="bench", base_url=url, api_key="none", max_retries=0)
    schema = {"name": "Rubric", "strict": True, "schema": Rubric.model_json_schema()}
    format = {"type": "json_schema", "json_schema": schema}

    async def ask(number: int) -> None:
        asked = request(number)
        message = await chat.ainvoke(
            list(asked.messages), max_tokens=300, extra_body={"response_format": format}
        )
        Rubric.model_validate_json(message.content)

    return await timed(ask, numbers, concurrency)


async def timed(ask, numbers: range, concurrency: int) -> float:
    """Requests a second, after a few that open the connections."""
    await for_each(range(-concurrency, 0), ask, concurrency)
    begun = time.perf_counter()
    await for_each(numbers, ask, concurrency)
    return len(numbers) / (time.perf_counter() - begun)


async def compared(url: str, concurrency: int, calls: int, turns: int) -> float:
    """Measure both in turns; print the rates and return their quotient."""
    ours, bare = [], []
    for turn in range(turns):
        numbers = range(turn * calls, (turn + 1) * calls)
        with tempfile.TemporaryDirectory() as folder:
            ours.append(await gateway_rate(url, numbers, concurrency, Path(folder)))
        bare.append(await bare_rate(url, numbers, concurrency))
    share = statistics.median(ours) / statistics.median(bare)
    print(
        f"{concurrency:4} at once: gateway {statistics.median(ours):6.0f} requests/s, "
        f"bare client {statistics.median(bare):6.0f}; gateway over bare client: {share:.2f}"
    )
    return share


async def measure(url: str, concurrencies: list[int], calls: int, turns: int) -> bool:
    """Compare at each concurrency, in one event loop, as LangChain's client is bound to one."""
    shares = {most: await compared(url, most, calls, turns) for most in concurrencies}
    return shares.get(64, TARGET) >= TARGET


def main() -> int:
    """Start the server, measure, and say whether the target is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 256, 512])
    args = parser.parse_args()
    port: multiprocessing.Queue = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get()}/v1"
    reached = asyncio.run(measure(url, args.concurrency, args.calls, args.turns))
    print(f"(to reach at 64: at least {TARGET:g})")
    server.terminate()
    return int(not reached)


if __name__ == "__main__":
    raise SystemExit(main())
