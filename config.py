"""Every setting of a run, each described under it.

Flags override ``lift.toml``, which overrides the defaults. The descriptions here are what
``--help``, ``lift-agent config`` and the documentation show.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from .errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # the same library, before Python 3.11

Recipe = Literal["lift", "paper", "curate"]
Sync = Literal["normal", "full"]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def _seconds(value: Any) -> Any:
    """Read 2h30m, 90m or 45s; a plain number is seconds."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        return value
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _prices(value: Any) -> Any:
    """Read NAME=INPUT,OUTPUT or NAME=INPUT,OUTPUT,CACHED; several are parted by spaces."""
    if not isinstance(value, str):
        return value
    named = [item.rpartition("=") for item in value.split()]
    return {name: pair.split(",") for name, _, pair in named}


Price = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
Prices = Annotated[
    dict[str, tuple[Price, Price] | tuple[Price, Price, Price]], BeforeValidator(_prices)
]

DEFAULT_FILE = Path("lift.toml")

# Settings with which a run may be continued although they differ from those it began with;
# the target may only grow.
MAY_CHANGE = (
    "base_url",
    "batch",
    "batch_poll",
    "budget_usd",
    "cache",
    "concurrency",
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


class RunConfig(BaseModel):
    """The settings of one run, resolved and checked."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True
    )

    sources: tuple[Path, ...] = ()
    """Instruction data: JSON or JSONL files, plain or gzipped."""
    toward: tuple[Path, ...] = ()
    """Prompts that show what the data is wanted for; may be repeated. Default: the model's own."""
    target_size: int = Field(default=500, ge=1)
    """Rows wanted in the dataset."""
    out: Path = Path("lift-run")
    """Folder of the run: dataset, ledger, vectors, card."""
    recipe: Recipe = "lift"
    """lift: the loop; paper: LIFT as published; curate: no generation."""
    llm: str = "local:"
    """Chat model of all agents, provider:model; local: is the embedded one, none is no model."""
    judge_llm: str | None = None
    """Chat model of the judge. Default: that of llm, or cheap signals where it is a small one."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server, for openai: models."""
    embedder: str = "all-MiniLM-L6-v2"
    """Sentence-transformers model that embeds the rows: a name or a folder."""
    rounds: int | None = Field(default=None, ge=0)
    """Most rounds of generation; 0 is curation alone. Default: 30 for lift, 1 for paper."""
    round_size: int = Field(default=96, ge=1)
    """Most rows that one round tries to generate."""
    min_score: float | None = Field(default=None, ge=0, le=100)
    """Lowest final score with which a row is accepted. Default: none."""
    prefilter: bool = True
    """Reject rows with a fatal fault (a refusal, an echo, a cut response) before any judge."""
    judge_samples: int = Field(default=1, ge=1, le=20)
    """Judgements of each of 30 seeds, which show the judge's own noise; 1 measures none."""
    tie_breaks: int = Field(default=0, ge=0)
    """Most pairs of rows about the last place that the judge compares, each in both orders."""
    max_seed_share: float = Field(default=0.8, ge=0, le=1)
    """Largest share of the target that seed rows may fill (recipe lift)."""
    quality_weight: float = Field(default=0.5, ge=0, le=1)
    """How the selector chooses: 1 is quality alone, 0 is diversity alone."""
    candidate_cosine: float = Field(default=0.75, gt=0, le=1)
    """Rows at this cosine similarity or above are compared word by word for being duplicates."""
    borderline_cosine: float = Field(default=0.92, gt=0, le=1)
    """Below it, rows with words that differ are distinct; from it on, the model settles doubts."""
    saturation: float = Field(default=0.03, ge=0, le=1)
    """Stop when the last three rounds accepted less than this share of what they tried."""
    budget_usd: float | None = Field(default=None, ge=0)
    """Most US dollars to spend, by the prices of the models."""
    max_calls: int | None = Field(default=None, ge=1)
    """Most requests to models, repeated ones included."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens, prompts and answers together."""
    max_time: Seconds | None = Field(default=None, gt=0)
    """Time after which no call is begun, counted over all starts of the run: 90m, 2h30m, 45s."""
    prices: Prices = Field(default_factory=dict)
    """USD per million input and output tokens of models, as NAME=INPUT,OUTPUT or
    NAME=INPUT,OUTPUT,CACHED with the price of input that the provider had in its cache."""
    max_error_rate: float = Field(default=0.5, gt=0, le=1)
    """Stop when more than this share of the last 50 answers were faults."""
    concurrency: int | None = Field(default=None, ge=1)
    """Most requests in flight. Default: what the server takes, up to 32."""
    rpm: float | None = Field(default=None, gt=0)
    """Requests a minute that each model allows. Default: found out."""
    tpm: float | None = Field(default=None, gt=0)
    """Tokens a minute that each model allows. Default: found out."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds that one request may take."""
    batch: bool = False
    """Send calls through the provider's batch endpoint (openai:, anthropic:): half the price,
    answers within a day."""
    batch_poll: Seconds = Field(default=60.0, gt=0)
    """Longest time between two looks at a batch: 60, 10m."""
    cache: bool = True
    """Reuse the answers that any run of yours was given before."""
    sync: Sync = "normal"
    """normal: what is answered survives the end of the process; full: a power cut, too."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    scores: Path | None = None
    """Given judge scores (recipe paper): a .npy or .json array, or a number a line."""
    embeddings: Path | None = None
    """Given embeddings (recipe paper): a .npy array, one vector a record."""

    @model_validator(mode="after")
    def _check_together(self) -> RunConfig:
        if self.candidate_cosine > self.borderline_cosine:
            raise ValueError(
                f"candidate_cosine = {self.candidate_cosine} must not be above "
                f"borderline_cosine = {self.borderline_cosine}"
            )
        if (self.scores or self.embeddings) and self.recipe != "paper":
            given = "scores" if self.scores else "embeddings"
            raise ValueError(f"{given} is for the paper recipe only: add --recipe paper")
        if (self.scores or self.embeddings) and self.max_rounds > 0:
            given = "scores" if self.scores else "embeddings"
            raise ValueError(f"{given} are given for the sources' rows only: add --rounds 0")
        if self.recipe == "paper" and (self.judge_samples > 1 or self.tie_breaks):
            extra = "judge_samples" if self.judge_samples > 1 else "tie_breaks"
            raise ValueError(f"{extra} does not go with the paper recipe, which judges a row once")
        if self.toward and (self.recipe == "paper" or self.max_rounds == 0):
            raise ValueError("toward steers what is generated: it needs recipe lift with rounds")
        if self.llm == "none" and self.max_rounds > 0:
            raise ValueError(
                f"llm = none does not go with recipe {self.recipe}, which generates: name a "
                "model, add --rounds 0, or use --recipe curate"
            )
        return self

    @property
    def max_rounds(self) -> int:
        """Rounds of generation that the recipe may use."""
        if self.recipe == "curate":
            return 0
        if self.rounds is not None:
            return self.rounds
        return 30 if self.recipe == "lift" else 1


def resolve(flags: Mapping[str, Any], file: Path | None = None) -> RunConfig:
    """Merge flags (those that are not None) over a ``lift.toml`` over the defaults.

    Without `file`, ``lift.toml`` in the current folder is read if it is there.

    Raises:
        UsageError: a setting is unknown or wrong; the message names it, its value and what is
            allowed.
    """
    path = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    settings = _read_toml(path) if path else {}
    origin = dict.fromkeys(settings, str(path))
    for name, value in flags.items():
        if value is not None and value != ():
            settings[name] = value
            origin[name] = ""
    try:
        return RunConfig(**settings)
    except ValidationError as error:
        raise UsageError(_explain(error, origin)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return settings
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def _explain(error: ValidationError, origin: Mapping[str, str]) -> str:
    """One line for the first thing that is wrong: the setting, its value, what is allowed."""
    first = error.errors()[0]
    if not first["loc"]:
        return str(first["msg"]).removeprefix("Value error, ")
    name = str(first["loc"][0])
    where = f"{origin[name]}: " if origin.get(name) else ""
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, RunConfig.model_fields, n=1)
        hint = f" (did you mean {near[0]}?)" if near else " (lift-agent config lists them)"
        return f"{where}unknown setting {name}{hint}"
    allowed = str(first["msg"]).removeprefix("Input ").replace("'", "")
    return f"{where}{name} = {first['input']}: {allowed}"
