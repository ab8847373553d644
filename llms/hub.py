"""Weights from the Hugging Face hub, downloaded once into its own cache."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, UsageError


def downloaded(place: str) -> Path:
    """The file ``owner/repo/path/in/repo.gguf`` of the hub, from the cache if it is there.

    Raises:
        UsageError: the place is not of that form.
        ModelError: the hub cannot be reached, or does not give the file.
    """
    owner, _, rest = place.partition("/")
    repo, _, file = rest.partition("/")
    if not (owner and repo and file.endswith(".gguf")):
        raise UsageError(f"llm = local:hf:{place}: write local:hf:owner/repo/file.gguf")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    name = f"{owner}/{repo}"
    try:
        return Path(hf_hub_download(name, file, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(hf_hub_download(name, file))
    except GatedRepoError:
        cause = f"{name} requires you to accept its terms on the hub and to set HF_TOKEN"
    except RepositoryNotFoundError:
        cause = f"there is no repository {name}, or it is private and HF_TOKEN is not set"
    except LocalEntryNotFoundError:
        cause = "it is not in the cache, and the hub cannot be reached"
    except EntryNotFoundError:
        cause = f"there is no file {file} in {name}"
    except Exception as error:  # of whichever HTTP client the hub's library uses
        cause = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    raise ModelError(f"cannot get local:hf:{place} from the hub: {cause}")
