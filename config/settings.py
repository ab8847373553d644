"""Every setting of a run, each described under it.

The descriptions here are what ``--help``, ``lift-agent config`` and the documentation show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .tables import ModelTable
from .values import Columns, Prices, Seconds, Shares, Source

Recipe = Literal["lift", "paper", "curate"]
Sync = Literal["normal", "full"]
PromptStyle = Literal["auto", "full", "compact"]
Agent = Literal["analyst", "generator", "redundancy"]

IN_FILES = ("llms",)  # settings that have no flag
EMBEDDED = ("local", "scripted")  # providers without an address

# Settings with which a run may be continued although they differ from those it began with;
# the target may only grow.
MAY_CHANGE = (
    "base_url",
    "batch",
    "batch_poll",
    "budget_usd",
    "cache",
    "concurrency",
    "embedder_base_url",
    "license",
    "max_calls",
    "max_error_rate",
    "max_time",
    "max_tokens",
    "prices",
    "rounds",
    "rpm",
    "sync",
    "target_size",
    "timeout",
    "tpm",
)


# The sections of the settings in --help, each by its first setting.
SECTIONS = {
    "sources": "Data",
    "target_size": "Dataset",
    "llm": "Models",
    "embedder": "Embedder",
    "rounds": "Loop",
    "decontaminate": "Screen",
    "candidate_cosine": "Redundancy",
    "min_score": "Judging and selection",
    "budget_usd": "Limits",
    "concurrency": "Requests",
    "scores": "Recipe paper",
}

# Settings of the screen, which the paper recipe does not have.
_SCREENING = ("decontaminate", "pii", "languages", "max_judge_share")


class RunConfig(BaseModel):
    """The settings of one run, resolved and checked."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True
    )

    sources: tuple[Source, ...] = ()
    """Instruction data: files, folders, globs, - (standard input), hf:NAME[:config][:split]."""
    toward: tuple[Source, ...] = ()
    """Target prompts: what the model will be asked; repeatable. Default: probes of its own."""
    map: Columns = Field(default_factory=dict)
    """Your column names: instruction=question,output=answer; also input, system; a.b is nested."""
    strict: bool = False
    """Stop at the first unusable record instead of quarantining it."""
    license: tuple[str, ...] = ()
    """Licence of the sources, for the card: NAME, or FILE=NAME for one file; repeatable."""
    target_size: int = Field(default=500, ge=1)
    """Number of rows in the dataset."""
    out: Path = Path("lift-run")
    """Folder of the run: dataset, ledger, vectors, card."""
    recipe: Recipe = "lift"
    """lift: the loop; paper: LIFT as published; curate: no generation."""
    llm: str = "local:"
    """Chat model of all agents: provider:model, the NAME of a table [llm.NAME], local: or none."""
    analyst_llm: str | None = None
    """Chat model of the coverage analyst. Default: llm."""
    generator_llm: str | None = None
    """Chat model of the generator. Default: llm."""
    redundancy_llm: str | None = None
    """Chat model of the redundancy agent. Default: llm, unless it is small."""
    judge_llm: str | None = None
    """Chat model of the judge; several, with commas: a panel. Default: llm, or cheap signals."""
    llms: dict[str, ModelTable] = Field(default_factory=dict)
    """Chat models that you name, each in a table [llm.NAME] of lift.toml."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server, for openai: models."""
    prompt_style: PromptStyle = "auto"
    """full: prompts with all examples; compact: short ones; auto: compact for small models."""
    embedder: str = "all-MiniLM-L6-v2"
    """Embedder of the rows: a sentence-transformers name or folder, openai:MODEL or static:NAME."""
    embedder_base_url: str | None = None
    """Address of an OpenAI-compatible server, for openai: embedders. Default: base_url."""
    embedder_prompt: str | None = None
    """Prefix of each text, or the name of one of the embedder's prompts. Default: its own."""
    rounds: int | None = Field(default=None, ge=0)
    """Maximum rounds of generation; 0 only curates. Default: 30 for lift, 1 for paper."""
    round_size: int = Field(default=96, ge=1)
    """Maximum rows that one round tries to generate."""
    max_seed_share: float = Field(default=0.8, ge=0, le=1)
    """Maximum share of the target that seed rows may fill (recipe lift)."""
    saturation: float = Field(default=0.03, ge=0, le=1)
    """Stop when the last three rounds accepted less than this share of what they tried."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    decontaminate: tuple[Source, ...] = ()
    """Benchmark that no row may leak: a file of prompts, as published; repeatable."""
    ngram: int = Field(default=13, ge=5, le=50)
    """Number of consecutive words that a row must not share with a benchmark's prompt or answer."""
    leak_cosine: float = Field(default=0.9, gt=0, le=1)
    """Rows at this cosine or above to a benchmark item leak it as a rewording; 1 turns this off."""
    pii: Literal["off", "report", "mask", "drop"] = "report"
    """Personal data and secrets: count them, mask them before all other steps, or drop the row."""
    languages: Shares = Field(default_factory=dict)
    """Keep only rows in these languages, in equal or given shares: en,zh or en=0.7,zh=0.3."""
    prefilter: bool = True
    """Reject rows with a fatal fault (refusal, echo, truncated response) before judging."""
    candidate_cosine: float = Field(default=0.75, gt=0, le=1)
    """Rows at this cosine or above are compared word by word as possible near-duplicates."""
    borderline_cosine: float = Field(default=0.92, gt=0, le=1)
    """Below this cosine, rows with other words are distinct; from it on, doubts are settled."""
    min_score: float | None = Field(default=None, ge=0, le=100)
    """Minimum final score of an accepted row. Default: none."""
    max_judge_share: float = Field(default=1.0, gt=0, le=1)
    """Judge only this share of rows, the best by cheap signals; more if the target needs them."""
    judge_samples: int = Field(default=1, ge=1, le=20)
    """Judge 30 seeds this many times each, to measure the judge's own noise; 1 measures none."""
    tie_breaks: int = Field(default=0, ge=0)
    """Maximum pairs of rows near the cut-off that the judge compares, each in both orders."""
    quality_weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of quality in the selection: 1 is quality alone, 0 is diversity alone."""
    apart_cosine: float = Field(default=0.90, gt=0, le=1)
    """Two rows at this cosine or above are both chosen only if no other is left; 1: off."""
    budget_usd: float | None = Field(default=None, ge=0)
    """Maximum US dollars to spend, by the prices of the models."""
    max_calls: int | None = Field(default=None, ge=1)
    """Maximum requests to models, including repeated ones."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens, prompts and answers together."""
    max_time: Seconds | None = Field(default=None, gt=0)
    """Time after which no call is started, summed over all starts of the run: 90m, 2h30m, 45s."""
    prices: Prices = Field(default_factory=dict)
    """USD per million input and output tokens of models, as NAME=INPUT,OUTPUT or
    NAME=INPUT,OUTPUT,CACHED, where CACHED is the price of cached input."""
    max_error_rate: float = Field(default=0.5, gt=0, le=1)
    """Stop when more than this share of the last 50 answers are faults."""
    concurrency: int | None = Field(default=None, ge=1)
    """Maximum requests in flight. Default: what the server accepts, up to 32."""
    rpm: float | None = Field(default=None, gt=0)
    """Requests per minute that each model allows. Default: detected."""
    tpm: float | None = Field(default=None, gt=0)
    """Tokens per minute that each model allows. Default: detected."""
    timeout: float = Field(default=120.0, gt=0)
    """Timeout of one request, in seconds."""
    batch: bool = False
    """Send calls through the provider's batch endpoint (openai:, anthropic:): half the price,
    answers within a day."""
    batch_poll: Seconds = Field(default=60.0, gt=0)
    """Maximum time between status checks of a batch: 60, 10m."""
    cache: bool = True
    """Reuse the answers of all your earlier runs."""
    sync: Sync = "normal"
    """normal: answers survive the end of the process; full: also a power cut."""
    scores: Path | None = None
    """Precomputed judge scores (recipe paper): a .npy or .json array, or one number per line."""
    embeddings: Path | None = None
    """Precomputed embeddings (recipe paper): a .npy array, one vector per record."""

    @model_validator(mode="after")
    def _check_data(self) -> RunConfig:
        """What goes in, and what the rows are compared with."""
        if self.map and not {"instruction", "output"} <= self.map.keys():
            raise ValueError("map needs both: instruction=COLUMN,output=COLUMN")
        if self.candidate_cosine > self.borderline_cosine:
            raise ValueError(
                f"candidate_cosine = {self.candidate_cosine} must not be above "
                f"borderline_cosine = {self.borderline_cosine}"
            )
        if self.languages and abs(sum(self.languages.values()) - 1) > 1e-6:
            raise ValueError(
                f"the shares of languages add up to {sum(self.languages.values()):g}, not 1"
            )
        if self.toward and (self.recipe == "paper" or self.max_rounds == 0):
            raise ValueError("toward steers what is generated: it needs recipe lift with rounds")
        return self

    @model_validator(mode="after")
    def _check_paper(self) -> RunConfig:
        """What goes with the recipe paper only, and what does not go with it."""
        if self.scores or self.embeddings:
            given = "scores" if self.scores else "embeddings"
            if self.recipe != "paper":
                raise ValueError(f"{given} is for the paper recipe only: add --recipe paper")
            if self.max_rounds > 0:
                raise ValueError(f"{given} are given for the sources' rows only: add --rounds 0")
        if self.recipe == "paper":
            if self.judge_samples > 1 or self.tie_breaks:
                extra = "judge_samples" if self.judge_samples > 1 else "tie_breaks"
                raise ValueError(
                    f"{extra} does not go with the paper recipe, which judges a row once"
                )
            asked = [name for name in _SCREENING if getattr(self, name) != _default(name)]
            if asked:
                raise ValueError(
                    f"{asked[0]} does not go with the paper recipe, which has no screen"
                )
        return self

    @model_validator(mode="after")
    def _check_models(self) -> RunConfig:
        """Which models the agents need, and where an address leads."""
        generating: tuple[Agent, ...] = ("generator",)
        if self.recipe == "lift":
            generating = ("analyst", "generator")
        for agent in generating if self.max_rounds > 0 else ():
            if self.model_of(agent) == "none":
                setting = f"{agent}_llm" if getattr(self, f"{agent}_llm") else "llm"
                raise ValueError(
                    f"{setting} = none does not go with recipe {self.recipe}, which generates: "
                    "name a model, add --rounds 0, or use --recipe curate"
                )
        if len(self.judges) > 1 and ("none" in self.judges or "" in self.judges):
            raise ValueError(f"judge_llm = {self.judge_llm}: name a model between all commas")
        if len(set(self.judges)) < len(self.judges):
            raise ValueError(f"judge_llm = {self.judge_llm}: name each judge once")
        hosted = [name for name in self.models if name.partition(":")[0] not in EMBEDDED]
        unnamed = [name for name in hosted if not self.table(name)]
        addressed = (*unnamed, self.embedder)
        if self.base_url and unnamed and not any(n.startswith("openai:") for n in addressed):
            raise ValueError(
                f"base_url is the address of openai: models: give that of {unnamed[0]} as base_url "
                "in a table [llm.NAME]"
            )
        return self

    def model_of(self, agent: Agent) -> str:
        """Name of the chat model that an agent asks."""
        return getattr(self, f"{agent}_llm") or self.llm

    def table(self, name: str) -> ModelTable | None:
        """The table of the chat model called `name`, None if it has none."""
        return self.llms.get(name.removesuffix(":"))

    @property
    def judges(self) -> tuple[str, ...]:
        """Names of the chat models that are asked for by name to judge."""
        return tuple(map(str.strip, self.judge_llm.split(","))) if self.judge_llm else ()

    @property
    def embedding(self) -> dict[str, Any]:
        """What is set of the embedder beside its name, as `embedders.open_embedder` takes it."""
        address = self.embedder_base_url or self.base_url
        return {"prompt": self.embedder_prompt, "base_url": address, "prices": self.prices}

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all chat models that the settings name, each once."""
        agents: tuple[Agent, ...] = ("analyst", "generator", "redundancy")
        names = (self.llm, *(self.model_of(agent) for agent in agents), *self.judges)
        return tuple(dict.fromkeys(name for name in names if name != "none"))

    def judging(self, *, small: bool) -> tuple[str, ...]:
        """Names of the models that judge. `small` tells whether `llm` is: one that is tells good
        rows from bad no better than chance does (benchmarks/small_judge.py), so it judges only
        where it is named for that.
        """
        if self.judges or self.scores:
            return self.judges
        return () if small or self.llm == "none" else (self.llm,)

    def settles(self, *, small: bool) -> bool:
        """Whether a model settles doubts about near-duplicates. `small` tells whether `llm` is:
        one that is does so no better than the responses (benchmarks/small_doubts.py), so only
        where it is named for that.
        """
        return self.model_of("redundancy") != "none" and (bool(self.redundancy_llm) or not small)

    def compact(self, small: bool) -> bool:
        """Whether a model of this kind gets the prompts' short form."""
        return small if self.prompt_style == "auto" else self.prompt_style == "compact"

    @property
    def max_rounds(self) -> int:
        """Rounds of generation that the recipe may use."""
        if self.recipe == "curate":
            return 0
        if self.rounds is not None:
            return self.rounds
        return 30 if self.recipe == "lift" else 1


def _default(name: str) -> Any:
    return RunConfig.model_fields[name].get_default(call_default_factory=True)
