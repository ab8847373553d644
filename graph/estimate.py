"""What a run will take, before it begins: calls, tokens, money and time, each as a range."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ..agents.differences import Task, compare
from ..agents.generator import ANSWERS
from ..agents.judge import REPEATED
from ..agents.probes import cluster_count, drawn_in, theme_count
from ..agents.prompts import load
from ..config import RunConfig
from ..embedders import Embedder, kind_of
from ..embedders.hosted import TEXTS, price
from ..geometry.density import region_count
from ..geometry.neighbours import nearest_others
from ..llms.backend import SMALL_MAX_TOKENS
from ..llms.batches.service import BATCH_SHARE, has_batches
from ..llms.prices import listed_in
from ..llms.providers import FIRST_CONCURRENCY, Prospect, prospect
from ..records import Row
from ..stores.cache import Pace, pace_of
from .planning import SMALLEST_ROUND

SAMPLE = 64  # rows that are embedded
_KEEPS = (0.35, 0.95)  # share of the tasks that end as accepted rows
_ANSWERED = (0.5, 1.0)  # share of the drafts that pass their checks and so are answered
_REPAIRS = 1.1
_BYTES_A_TOKEN = (5.0, 3.0)
_ANSWERS = (0.15, 0.7)  # of the most tokens that a prompt allows
_SPEEDS = (100.0, 30.0)  # tokens written a second, and seconds before the first, of a hosted model
_FIRST = (0.3, 1.5)
_EMBEDDED_SPEEDS = (80.0, 25.0)  # the same of the embedded model
_EMBEDDED_FIRST = (0.5, 4.0)


class Span(NamedTuple):
    """A range of what something may come to."""

    low: float
    high: float

    def times(self, other: Span) -> Span:
        """The range of the product."""
        return Span(self.low * other.low, self.high * other.high)

    def plus(self, other: Span) -> Span:
        """The range of the sum."""
        return Span(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Part:
    """What one agent will take; `usd` is None if its model's price is unknown."""

    agent: str
    model: str
    calls: Span
    input_tokens: Span
    output_tokens: Span
    usd: Span | None
    seconds: Span


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will take, agent by agent, and what was assumed."""

    parts: tuple[Part, ...]
    embedding: Span
    assumed: tuple[str, ...]
    unpriced: tuple[str, ...] = field(default=())

    @property
    def calls(self) -> Span:
        """Calls of all agents."""
        return _sum(part.calls for part in self.parts)

    @property
    def tokens(self) -> Span:
        """Tokens of all agents, prompts and answers."""
        return _sum(part.input_tokens.plus(part.output_tokens) for part in self.parts)

    @property
    def usd(self) -> Span | None:
        """US dollars of all agents, None if a price is unknown."""
        return None if self.unpriced else _sum(part.usd or Span(0, 0) for part in self.parts)

    @property
    def seconds(self) -> Span:
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

    Nothing is asked of a model, a sample is embedded; `speeds` are the tokens a second that
    models were seen to write, by name.
    """
    sample = random.Random(config.seed).sample(rows, min(SAMPLE, len(rows)))
    repeats, doubtful, rate = _measured(config, sample, len(rows), embedder)
    usable = Span(len(rows) * (1 - repeats.high), len(rows) * (1 - repeats.low))
    tasks = _tasks(config, usable)
    written = Span(tasks.low * _KEEPS[0], tasks.high)
    seen = f"from {len(sample)} rows, embedded" if rate else "nothing was embedded to see"
    assumed = [f"{_percent(repeats)} of the rows repeat others ({seen})"]
    if tasks.high:
        assumed.append(f"{_percent(Span(*_KEEPS))} of the tasks end as accepted rows")
    models: dict[str, tuple[Prospect, Pace | None]] = {}
    parts: list[Part] = []

    def add(agent: str, model: str, prompt: str, calls: Span, texts: float) -> None:
        if model not in models:
            facts = prospect(model, config.base_url, config.prices, config.llms)
            models[model] = facts, pace_of(facts.name) if config.cache else None
            assumed.append(_about(model, *models[model], speed=(speeds or {}).get(model)))
            if config.batch and has_batches(model):
                assumed.append(f"{model} in batches: half the price, answers within a day")
        facts, pace = models[model]
        speed = (speeds or {}).get(model)
        parts.append(_part(config, agent, model, facts, pace, speed, prompt, calls, texts))

    size = sum(len(row.text.encode()) for row in sample) / max(1, len(sample))
    task = sum(len(row.task.encode()) for row in sample) / max(1, len(sample))
    if config.recipe == "lift" and tasks.high:
        for prompt, calls, texts in _of_analyst(config, max(len(rows), prompts), tasks):
            add("analyst", config.model_of("analyst"), prompt, calls, texts)
    if tasks.high:
        for prompt, calls, texts in _of_generator(config, tasks, task):
            add("generator", config.model_of("generator"), prompt, calls, texts)
    judged = _judged(config, usable, written)
    small = _small(config, judged)
    if config.recipe != "paper" and config.settles(small=small):
        asked = Span(usable.low * doubtful.low, len(rows) * doubtful.high + written.high * 0.1)
        add("redundancy", config.model_of("redundancy"), "same_task", asked, 2 * task)
    for judge in config.judging(small=small) if judged.high else ():
        if judge == "none":
            continue
        for prompt, calls, texts in _of_judge(config, judged, usable, size):
            add("judge", judge, prompt, calls, texts)
    embedded = Span(len(rows) + prompts + written.low, len(rows) + prompts + written.high)
    embedding = Span(embedded.low / rate, embedded.high / rate) if rate else Span(0, 0)
    unpriced = tuple(name for name, (facts, _) in models.items() if facts.prices is None)
    if kind_of(config.embedder)[0] == "openai" and not config.embeddings:
        parts.insert(0, hosted := _of_embedder(config, embedded, size))
        unpriced += () if hosted.usd else (config.embedder,)
    return Estimate(tuple(_merged(parts)), embedding, tuple(assumed), unpriced)


def _small(config: RunConfig, judged: Span) -> bool:
    """Whether `llm` is small: looked up only where it may settle doubts or judge, for else it need
    not be there.
    """
    may_settle = config.recipe != "paper" and not config.redundancy_llm
    may_judge = judged.high and not config.judges
    if config.llm == "none" or not (may_settle or may_judge):
        return False
    return prospect(config.llm, config.base_url, config.prices, config.llms).small


def _of_analyst(config: RunConfig, rows: int, tasks: Span) -> Iterator[tuple[str, Span, float]]:
    """Prompts of the analyst, how often each is asked, and bytes of the texts in it."""
    regions = min(region_count(rows), config.round_size)
    rounds = math.ceil(tasks.high / config.round_size)
    yield "name_subspace", Span(1, 2 * regions * rounds), 12 * 120
    if not config.toward:
        themes = Span(theme_count(SMALLEST_ROUND), theme_count(config.round_size))
        for prompt, calls in _probing(themes, rounds).items():
            yield prompt, calls, 6 * 120


def _of_generator(config: RunConfig, tasks: Span, size: float) -> Iterator[tuple[str, Span, float]]:
    """Prompts of the generator, for tasks of so many bytes."""
    if config.recipe == "lift":
        # A new answer to a seed needs no draft.
        yield "fuse", tasks.times(Span(1 - ANSWERS, 1)), 2 * size
    else:
        yield "deepen", tasks, size
    yield "answer", tasks.times(Span(*_ANSWERED)), size


def _of_judge(
    config: RunConfig, judged: Span, usable: Span, size: float
) -> Iterator[tuple[str, Span, float]]:
    """Prompts of the judge, for rows of so many bytes."""
    repeated = Span(min(REPEATED, usable.low), min(REPEATED, usable.high))
    more = config.judge_samples - 1
    scored = judged.plus(repeated.times(Span(more, more)))
    yield "judge", scored.times(Span(1, _REPAIRS)), size
    if config.tie_breaks:
        pairs = Span(0, 2 * config.tie_breaks)
        yield "compare", pairs.times(Span(1, _REPAIRS)), 2 * size


def _of_embedder(config: RunConfig, rows: Span, size: float) -> Part:
    """What a hosted embedder takes for rows of so many bytes; it reads and writes nothing back."""
    calls = Span(math.ceil(rows.low / TEXTS), math.ceil(rows.high / TEXTS))
    read = rows.times(Span(size / _BYTES_A_TOKEN[0], size / _BYTES_A_TOKEN[1]))
    paid = price(config.embedder, config.embedder_base_url or config.base_url, config.prices)
    usd = Span(read.low * paid[0] / 1e6, read.high * paid[0] / 1e6) if paid else None
    least_at_once = config.concurrency or FIRST_CONCURRENCY
    seconds = Span(_FIRST[0], max(_FIRST[1], calls.high * _FIRST[1] / least_at_once))
    return Part("embedder", config.embedder, calls, read, Span(0, 0), usd, seconds)


def _measured(
    config: RunConfig, sample: Sequence[Row], total: int, embedder: Embedder | None
) -> tuple[Span, Span, float]:
    """Shares of rows that repeat others and that are in doubt, and rows embedded a second.

    A row of the sample meets only the sample: there are more neighbours among all the rows.
    """
    if embedder is None or len(sample) < 2:
        return Span(0, 0.2), Span(0, 0.1), 0.0
    embedder.embed([sample[0].text])  # opening it is not what is measured
    began = time.monotonic()
    vectors = embedder.embed([row.text for row in sample])
    rate = len(sample) / (time.monotonic() - began)
    near = zip(*nearest_others(vectors, 1), strict=True)
    tasks = [Task(row) for row in sample]
    kinds = [
        compare(tasks[int(other[0])], task, float(cosine[0]), config.borderline_cosine).kind
        for task, (cosine, other) in zip(tasks, near, strict=True)
        if cosine[0] >= config.candidate_cosine
    ]
    scale = total / len(sample)
    repeats = kinds.count("duplicate") / len(sample) / 2
    doubtful = kinds.count("borderline") / len(sample)
    return (
        Span(repeats, min(0.9, max(repeats, 0.5 / len(sample)) * math.sqrt(scale))),
        Span(doubtful, min(0.9, max(doubtful, 0.5 / len(sample)) * math.sqrt(scale))),
        rate,
    )


def _tasks(config: RunConfig, usable: Span) -> Span:
    """Rows that the generator is asked for."""
    if config.max_rounds == 0:
        return Span(0, 0)
    if config.recipe == "paper":
        return Span(usable.high * config.max_rounds, usable.high * config.max_rounds)
    most = config.target_size * config.max_seed_share
    missing = Span(
        max(0.0, config.target_size - min(most, usable.high)),
        max(0.0, config.target_size - min(most, usable.low)),
    )
    cap = config.max_rounds * config.round_size
    return Span(
        min(cap, max(SMALLEST_ROUND, missing.low / _KEEPS[1])),
        min(cap, max(SMALLEST_ROUND, missing.high / _KEEPS[0])),
    )


def _probing(themes: Span, rounds: int) -> dict[str, Span]:
    """Calls for the analyst's own reference, by prompt."""
    least = drawn_in(1, round(themes.low))
    drawn = [drawn_in(number, round(themes.high)) for number in range(1, rounds + 1)]
    groups = [cluster_count(count) for count in drawn]
    return {
        "neighbours": Span(cluster_count(least), sum(groups) * _REPAIRS),
        "probes": Span(0, sum(drawn)),
        "plausible": Span(0, sum(drawn) * _REPAIRS),
    }


def _judged(config: RunConfig, usable: Span, written: Span) -> Span:
    if config.scores:
        return Span(0, 0)
    both = usable.plus(written)
    if config.recipe == "paper":
        return both.times(Span(0.2, 0.2))
    share, least = config.max_judge_share, config.target_size
    return Span(*(max(share * rows, min(rows, least)) for rows in both))


def _part(
    config: RunConfig,
    agent: str,
    model: str,
    facts: Prospect,
    pace: Pace | None,
    speed: float | None,
    prompt: str,
    calls: Span,
    texts: float,
) -> Part:
    name = "answer_small" if prompt == "answer" and facts.small else prompt
    asked = load(name)
    asked = (config.compact(facts.small) and asked.short) or asked
    size = sum(len(text.encode()) for _, text in asked.turns) + texts
    read = Span(size / _BYTES_A_TOKEN[0], size / _BYTES_A_TOKEN[1])
    in_words = agent == "generator" or prompt == "probes"  # a small model's objects are not cut
    cut = SMALL_MAX_TOKENS if facts.small and in_words else math.inf
    most = min(asked.max_tokens, facts.max_tokens, cut)
    wrote = Span(most * _ANSWERS[0], most * _ANSWERS[1])
    if speed:
        one = Span(wrote.low / speed, wrote.high / speed)
    elif pace:
        one = Span(pace.seconds * 0.7, pace.seconds * 1.5)
    else:
        speeds, first = (_EMBEDDED_SPEEDS, _EMBEDDED_FIRST) if facts.embedded else (_SPEEDS, _FIRST)
        one = Span(first[0] + wrote.low / speeds[0], first[1] + wrote.high / speeds[1])
    most_at_once = config.concurrency or facts.concurrency
    least_at_once = config.concurrency or min(FIRST_CONCURRENCY, facts.concurrency)
    seconds = Span(calls.low * one.low / most_at_once, calls.high * one.high / least_at_once)
    if config.rpm:
        allowed = Span(calls.low * 60 / config.rpm, calls.high * 60 / config.rpm)
        seconds = Span(max(seconds.low, allowed.low), max(seconds.high, allowed.high))
    read, wrote = calls.times(read), calls.times(wrote)
    usd = None
    if facts.prices:
        share = BATCH_SHARE if config.batch and has_batches(model) else 1.0
        paid = [
            share * (r * facts.prices[0] + w * facts.prices[1]) / 1e6
            for r, w in zip(read, wrote, strict=True)
        ]
        usd = Span(*paid)
    return Part(agent, model, calls, read, wrote, usd, seconds)


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
        price = f"${facts.prices[0]:g} and ${facts.prices[1]:g} a million tokens{where}"
    if speed:
        pacing = f"{speed:.0f} tokens a second, as just measured"
    elif pace:
        pacing = f"{pace.seconds:.1f} s a call (mean of {pace.calls:,} earlier ones)"
    else:
        pacing = "speed assumed"
    return f"{model}: {price}; {pacing}"


def _percent(span: Span) -> str:
    return f"{span.low:.0%} to {span.high:.0%}"


def _sum(spans: Any) -> Span:
    total = Span(0, 0)
    for span in spans:
        total = total.plus(span)
    return total
