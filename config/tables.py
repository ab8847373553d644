"""What a ``[llm.NAME]`` table of ``lift.toml`` says of a chat model: where, how, at what price."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Keys that decide no answer: these may change when a run is resumed.
FREE = (
    *("base_url", "concurrency", "headers", "key_variable", "prices", "rpm", "slots", "threads"),
    *("timeout", "tpm"),
)
# Keys whose values may be secrets by mistake, and so are never shown.
HIDDEN = ("headers", "key_variable")


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("should be the name of an environment variable, not its value")
    return name


Variable = Annotated[str, AfterValidator(_variable)]
Price = Annotated[float, Field(ge=0)]


class ModelTable(BaseModel):
    """A chat model of one's own naming."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True
    )

    model: str = Field(min_length=1)
    """The model, as provider:model."""
    base_url: str | None = None
    """Address of the server. Default: the provider's own."""
    key_variable: Variable | None = None
    """Environment variable that holds the key. Default: the provider's own variable."""
    headers: dict[str, Variable] = Field(default_factory=dict)
    """Headers of each request, each with the environment variable that holds its value."""
    api_version: str | None = None
    """Version of the interface (azure_openai). Default: $OPENAI_API_VERSION."""
    temperature: float | None = Field(default=None, ge=0)
    """Temperature of every request. Default: that of each prompt."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling: the share of the probability to sample from. Default: the server's."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of each answer. Default: that of each prompt."""
    reasoning_effort: str | None = None
    """How long a reasoning model may think, in the provider's terms: low, medium, high."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Additional fields of each request, in the server's format."""
    prices: tuple[Price, Price] | tuple[Price, Price, Price] | None = None
    """USD per million tokens of input, output and perhaps cached input. Default: the list price."""
    rpm: float | None = Field(default=None, gt=0)
    """Requests per minute that the server allows. Default: that of the run."""
    tpm: float | None = Field(default=None, gt=0)
    """Tokens per minute that the server allows. Default: that of the run."""
    concurrency: int | None = Field(default=None, ge=1)
    """Maximum requests in flight. Default: that of the run."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that one request may take. Default: that of the run."""
    context: int | None = Field(default=None, ge=256)
    """Tokens of a request with its answer; longer texts are cut (local:, each slot)."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of the embedded model (local:). Default: the available cores."""
    slots: int | None = Field(default=None, ge=1)
    """Requests that the embedded model processes at once (local:). Default: set by the cores."""

    @property
    def sampling(self) -> dict[str, Any]:
        """The parameters that go into every request, instead of the prompts' own."""
        names = ("temperature", "top_p", "max_tokens", "reasoning_effort", "extra_body")
        return {name: value for name in names if (value := getattr(self, name)) not in (None, {})}

    @model_serializer(mode="wrap")
    def _given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is set: TOML has no word for nothing."""
        return {name: value for name, value in write(self).items() if value not in (None, {})}


def table_of(
    name: str,
    base_url: str | None = None,
    prices: Mapping[str, Sequence[float]] | None = None,
    tables: Mapping[str, ModelTable] | None = None,
) -> ModelTable:
    """What is set for the model called `name`: its table, or what the flags say.

    `name` is that of a table, perhaps with a colon, or ``provider:model``. A `base_url` given for
    the whole run is that of the models of ``openai:``.
    """
    found = (tables or {}).get(name.removesuffix(":"))
    if found is None:
        address = base_url if name.startswith("openai:") else None
        given = ModelTable(model=name, base_url=address)
        return given.model_copy(update={"prices": (prices or {}).get(name)})
    own = [(prices or {}).get(given) for given in (name.removesuffix(":"), found.model)]
    return found.model_copy(update={"prices": own[0] or own[1] or found.prices})


def decisive(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What of some tables, as written, decides the answers.

    Another address may be the same model's; none would send the rows to somebody else.
    """
    return {
        name: {key: value for key, value in table.items() if key not in FREE}
        | {"base_url": "base_url" in table}
        for name, table in tables.items()
    }
