"""Azure OpenAI: a deployment at an endpoint of one's own."""

from __future__ import annotations

import os

from ..config.tables import ModelTable
from ..errors import ModelError
from ..redaction import remember_address, without_credentials
from .backend import Backend, digest
from .hosted import first_line
from .secrets import headers_of, key_hints, key_of

_KEY = "AZURE_OPENAI_API_KEY"
_NEEDED = {
    "endpoint": ("AZURE_OPENAI_ENDPOINT", "base_url", "the endpoint of your resource"),
    "api_version": ("OPENAI_API_VERSION", "api_version", "a version of the interface"),
    "deployment": ("AZURE_OPENAI_DEPLOYMENT", "model", "the name of a deployment"),
}


def open_azure(table: ModelTable, deployment: str, timeout: float) -> Backend:
    """Open the deployment called `deployment`; what the table leaves open the environment says.

    Raises:
        ModelError: the endpoint, the version, the deployment or the key is missing.
    """
    from langchain_openai import AzureChatOpenAI

    key, headers = key_of(table), headers_of(table)
    endpoint = _needed("endpoint", table, table.base_url)
    version = _needed("api_version", table, table.api_version)
    name = _needed("deployment", table, deployment)
    remember_address(endpoint)
    if not key and not os.environ.get(_KEY) and not os.environ.get("AZURE_OPENAI_AD_TOKEN"):
        raise ModelError(f"{table.model} needs a key: set {_KEY} (or AZURE_OPENAI_AD_TOKEN)")
    try:
        chat = AzureChatOpenAI(
            azure_endpoint=endpoint,
            azure_deployment=name,
            api_version=version,
            api_key=key,  # type: ignore[arg-type]
            default_headers=headers or None,
            max_retries=0,
            timeout=timeout,
            http_socket_options=(),
        )
    except Exception as error:
        raise ModelError(f"cannot open {table.model}: {first_line(error)}") from None
    missing = (
        f"{name} should be a deployment of {without_credentials(endpoint)}, not a model's name"
    )
    return Backend(
        name=f"azure_openai:{name}",
        chat=chat,
        identity=digest(without_credentials(endpoint)),
        hints={**key_hints(table.key_variable or _KEY), 404: missing},
    )


def _needed(what: str, table: ModelTable, given: str | None) -> str:
    variable, key, meaning = _NEEDED[what]
    value = given or os.environ.get(variable)
    if not value:
        raise ModelError(
            f"{table.model} needs {meaning}: set {variable}, or {key} in its table [llm.NAME]"
        )
    return value
