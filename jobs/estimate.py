"""What a run will take, before it begins: calls, tokens, money and time, each as a range."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..agents import generator, judge, probes, redundancy, subspace_naming
from ..agents.forecasts import Forecast, tokens_in
from ..agents.probes import theme_count
from ..config import RunConfig
from ..embedders import kind_of
from ..embedders.base import Embedder
from ..embedders.hosted import TEXTS, price
from ..geometry.density import subspace_count
from ..graph.planning import SMALLEST_ROUND
from ..llms.batches.service import BATCH_SHARE, has_batches
from ..llms.prices import listed_in
from ..llms.providers import FIRST_CONCURRENCY, Prospect, prospect
from ..records import Row
from ..records.ranges import Range
from ..stores.cache import Pace, pace_of

SAMPLE = 64  # rows that are embedded
_KEEPS = (0.35, 0.95)  # share of the tasks that end as accepted rows
_SPEEDS = (100.0, 30.0)  # tokens written a second, and seconds before the first, of a hosted model
_FIRST = (0.3, 1.5)
_EMBEDDED_SPEEDS = (80.0, 25.0)  # the same of the embedded model
_EMBEDDED_FIRST = (0.5, 4.0)


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent will take; `usd` is None if its model's price is unknown."""

    agent: str
    model: str
    calls: Range
    input_tokens: Range
    output_tokens: Range
    usd: Range | None
    seconds: Range


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, agent by agent, and what was assumed."""

    parts: tuple[Part, ...]
    embedding: Range
    assumed: tuple[str, ...]
    unpriced: tuple[str, ...] = field(default=())

    @property
    def calls(self) -> Range:
        """Calls of all agents."""
        return _sum(part.calls for part in self.parts)

    @property
    def tokens(self) -> Range:
        """Tokens of all agents, prompts and answers."""
        return _sum(part.input_tokens.plus(part.output_tokens) for part in self.parts)

    @property
    def usd(self) -> Range | None:
        """US dollars of all agents, None if a price is unknown."""
        return None if self.unpriced else _sum(part.usd or Range(0, 0) for part in self.parts)

    @property
    def seconds(self) -> Range:
        """Time from the start to the end."""
        return _sum((self.embedding, *(part.seconds for part in self.parts)))

    def totals(self) -> dict[str, Any]:
        """The ranges that the run's summary sets beside what came."""
        return {
            "calls": self.calls,
            "tokens": self.tokens,
            "usd": self.usd,
            "seconds": self.seconds,
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return {
            **self.totals(),
            "agents": [asdict(part) for part in self.parts],
            "embedding_seconds": self.embedding,
            "assumed": self.assumed,
        }


def estimate(
    config: RunConfig,
    rows: Sequence[Row],
    embedder: Embedder | None,
    prompts: int = 0,
    *,
    speeds: Mapping[str, float] | None = None,
) -> Estimate:
    """Estimate a run over these seed rows, toward so many prompts.

    Nothing is asked of a model, a sample is embedded; `speeds` are the tokens per second that
    models were seen to write, by name.
    """
    sample = random.Random(config.seed).sample(rows, min(SAMPLE, len(rows)))
    repeats, doubtful, rate = _measured(config, sample, len(rows), embedder)
    usable = Range(len(rows) * (1 - repeats.high), len(rows) * (1 - repeats.low))
    tasks = _tasks(config, usable)
    written = Range(tasks.low * _KEEPS[0], tasks.high)
    seen = f"from {len(sample)} rows, embedded" if rate else "not measured: nothing was embedded"
    assumed = [f"{_percent(repeats)} of the rows repeat others ({seen})"]
    if tasks.high:
        assumed.append(f"{_percent(Range(*_KEEPS))} of the tasks end as accepted rows")
    models: dict[str, tuple[Prospect, Pace | None]] = {}
    parts: list[Part] = []

    def add(model: str, forecasts: Sequence[Forecast]) -> None:
        if model not in models:
            facts = prospect(model, config.base_url, config.prices, config.llms)
            models[model] = facts, pace_of(facts.name) if config.cache else None
            assumed.append(_about(model, *models[model], speed=(speeds or {}).get(model)))
            if config.batch and has_batches(model):
                assumed.append(f"{model} in batches: half the price, answers within a day")
        facts, pace = models[model]
        speed = (speeds or {}).get(model)
        parts.extend(_part(config, model, facts, pace, speed, each) for each in forecasts)

    size = sum(len(row.text.encode()) for row in sample) / max(1, len(sample))
    task = sum(len(row.task.encode()) for row in sample) / max(1, len(sample))
    if config.recipe == "lift" and tasks.high:
        rounds = math.ceil(tasks.high / config.round_size)
        subspaces = min(subspace_count(max(len(rows), prompts)), config.round_size)
        add(config.model_of("analyst"), subspace_naming.forecast(subspaces, rounds))
        if not config.toward:
            themes = Range(theme_count(SMALLEST_ROUND), theme_count(config.round_size))
            add(config.model_of("analyst"), probes.forecast(themes, rounds))
    if tasks.high:
        rewriting = config.recipe != "lift"
        add(config.model_of("generator"), generator.forecast(tasks, task, rewriting=rewriting))
    judged = _judged(config, usable, written)
    small = _small(config, judged)
    if config.recipe != "paper" and config.settles(small=small):
        seeds = Range(usable.low, len(rows))
        add(config.model_of("redundancy"), redundancy.forecast(seeds, written, doubtful, task))
    scoring = judge.forecast(
        judged, usable, size, samples=config.judge_samples, tie_breaks=config.tie_breaks
    )
    for model in config.judging(small=small) if judged.high else ():
        if model != "none":
            add(model, scoring)
    embedded = Range(len(rows) + prompts + written.low, len(rows) + prompts + written.high)
    embedding = Range(embedded.low / rate, embedded.high / rate) if rate else Range(0, 0)
    unpriced = tuple(name for name, (facts, _) in models.items() if facts.prices is None)
    if kind_of(config.embedder)[0] == "openai" and not config.embeddings:
        parts.insert(0, hosted := _of_embedder(config, embedded, size))
        unpriced += () if hosted.usd else (config.embedder,)
    return Estimate(tuple(_merged(parts)), embedding, tuple(assumed), unpriced)


def _small(config: RunConfig, judged: Range) -> bool:
    """Whether `llm` is small: looked up only where it may settle doubts or judge, for else it need
    not be there.
    """
    may_settle = config.recipe != "paper" and not config.redundancy_llm
    may_judge = judged.high and not config.judges
    if config.llm == "none" or not (may_settle or may_judge):
        return False
    return prospect(config.llm, config.base_url, config.prices, config.llms).small


def _of_embedder(config: RunConfig, rows: Range, size: float) -> Part:
    """What a hosted embedder takes for rows of so many bytes; it reads and writes nothing back."""
    calls = Range(math.ceil(rows.low / TEXTS), math.ceil(rows.high / TEXTS))
    read = rows.times(tokens_in(size))
    paid = price(config.embedder, config.embedder_base_url or config.base_url, config.prices)
    usd = Range(read.low * paid[0] / 1e6, read.high * paid[0] / 1e6) if paid else None
    least_at_once = config.concurrency or FIRST_CONCURRENCY
    seconds = Range(_FIRST[0], max(_FIRST[1], calls.high * _FIRST[1] / least_at_once))
    return Part("embedder", config.embedder, calls, read, Range(0, 0), usd, seconds)


def _measured(
    config: RunConfig, sample: Sequence[Row], total: int, embedder: Embedder | None
) -> tuple[Range, Range, float]:
    """Shares of rows that repeat others and that are in doubt, and rows embedded a second.

    A row of the sample meets only the sample: there are more neighbours among all the rows.
    """
    if embedder is None or len(sample) < 2:
        return Range(0, 0.2), Range(0, 0.1), 0.0
    embedder.embed([sample[0].text])  # opening it is not what is measured
    began = time.monotonic()
    vectors = embedder.embed([row.text for row in sample])
    rate = len(sample) / (time.monotonic() - began)
    repeating, unsure = redundancy.sample_doubts(
        sample, vectors, config.candidate_cosine, config.borderline_cosine
    )
    scale = total / len(sample)
    repeats = repeating / len(sample) / 2
    doubtful = unsure / len(sample)
    return (
        Range(repeats, min(0.9, max(repeats, 0.5 / len(sample)) * math.sqrt(scale))),
        Range(doubtful, min(0.9, max(doubtful, 0.5 / len(sample)) * math.sqrt(scale))),
        rate,
    )


def _tasks(config: RunConfig, usable: Range) -> Range:
    """Rows that the generator is asked for."""
    if config.max_rounds == 0:
        return Range(0, 0)
    if config.recipe == "paper":
        return Range(usable.high * config.max_rounds, usable.high * config.max_rounds)
    most = config.target_size * config.max_seed_share
    missing = Range(
        max(0.0, config.target_size - min(most, usable.high)),
        max(0.0, config.target_size - min(most, usable.low)),
    )
    cap = config.max_rounds * config.round_size
    return Range(
        min(cap, max(SMALLEST_ROUND, missing.low / _KEEPS[1])),
        min(cap, max(SMALLEST_ROUND, missing.high / _KEEPS[0])),
    )


def _judged(config: RunConfig, usable: Range, written: Range) -> Range:
    if config.scores:
        return Range(0, 0)
    both = usable.plus(written)
    if config.recipe == "paper":
        return both.times(Range(0.2, 0.2))
    share, least = config.max_judge_share, config.target_size
    return Range(*(max(share * rows, min(rows, least)) for rows in both))


def _part(
    config: RunConfig,
    model: str,
    facts: Prospect,
    pace: Pace | None,
    speed: float | None,
    forecast: Forecast,
) -> Part:
    calls = forecast.calls
    read, wrote = forecast.tokens(
        small=facts.small, compact=config.compact(facts.small), max_tokens=facts.max_tokens
    )
    if speed:
        one = Range(wrote.low / speed, wrote.high / speed)
    elif pace:
        one = Range(pace.seconds * 0.7, pace.seconds * 1.5)
    else:
        speeds, first = (_EMBEDDED_SPEEDS, _EMBEDDED_FIRST) if facts.embedded else (_SPEEDS, _FIRST)
        one = Range(first[0] + wrote.low / speeds[0], first[1] + wrote.high / speeds[1])
    most_at_once = config.concurrency or facts.concurrency
    least_at_once = config.concurrency or min(FIRST_CONCURRENCY, facts.concurrency)
    seconds = Range(calls.low * one.low / most_at_once, calls.high * one.high / least_at_once)
    if config.rpm:
        allowed = Range(calls.low * 60 / config.rpm, calls.high * 60 / config.rpm)
        seconds = Range(max(seconds.low, allowed.low), max(seconds.high, allowed.high))
    read, wrote = calls.times(read), calls.times(wrote)
    usd = None
    if facts.prices:
        share = BATCH_SHARE if config.batch and has_batches(model) else 1.0
        paid = [
            share * (r * facts.prices[0] + w * facts.prices[1]) / 1e6
            for r, w in zip(read, wrote, strict=True)
        ]
        usd = Range(*paid)
    return Part(forecast.agent, model, calls, read, wrote, usd, seconds)


def _merged(parts: Sequence[Part]) -> list[Part]:
    """One part for each agent and model: the generator has two prompts, a panel several models."""
    merged: dict[tuple[str, str], Part] = {}
    for part in parts:
        place = part.agent, part.model
        if place in merged:
            other = merged[place]
            part = Part(  # noqa: PLW2901
                part.agent,
                part.model,
                other.calls.plus(part.calls),
                other.input_tokens.plus(part.input_tokens),
                other.output_tokens.plus(part.output_tokens),
                other.usd.plus(part.usd) if other.usd and part.usd else None,
                other.seconds.plus(part.seconds),
            )
        merged[place] = part
    return list(merged.values())


def _about(model: str, facts: Prospect, pace: Pace | None, speed: float | None = None) -> str:
    if facts.prices is None:
        price = "price unknown"
    elif not any(facts.prices):
        price = "free"
    else:
        where = f", listed in {listed_in()}" if facts.listed else ", as you gave it"
        price = f"${facts.prices[0]:g} and ${facts.prices[1]:g} per million tokens{where}"
    if speed:
        pacing = f"{speed:.0f} tokens per second, as just measured"
    elif pace:
        pacing = f"{pace.seconds:.1f} s per call (mean of {pace.calls:,} earlier ones)"
    else:
        pacing = "speed assumed"
    return f"{model}: {price}; {pacing}"


def _percent(span: Range) -> str:
    return f"{span.low:.0%} to {span.high:.0%}"


def _sum(spans: Any) -> Range:
    total = Range(0, 0)
    for span in spans:
        total = total.plus(span)
    return total
