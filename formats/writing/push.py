"""Pushing a dataset to the Hugging Face hub, with the hub's refusals in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import LiftAgentError, UsageError

_NAME = re.compile(r"hf:([\w.-]+/[\w.-]+)")


class HubError(LiftAgentError):
    """The hub did not take the dataset."""


def repository(target: str) -> str:
    """The owner/name of a target hf:owner/name.

    Raises:
        UsageError: it is not written so.
    """
    found = _NAME.fullmatch(target)
    if not found:
        raise UsageError(f"push = {target}: write hf:owner/name")
    return found[1]


def push(files: Sequence[Path], repo: str, *, private: bool, replace: bool) -> str:
    """Commit files to a dataset on the hub, which is made for them; return its address.

    Args:
        files: they are put at the top, under their own names.
        repo: owner/name.
        private: whether a new dataset is private; one that exists stays as it is.
        replace: whether one that exists is written to.

    Raises:
        UsageError: huggingface_hub or a token is missing.
        HubError: the hub refuses, with its reason; never the token.
    """
    hub = _library()
    api = hub.HfApi()
    if not hub.get_token():
        raise UsageError(
            "pushing needs a token of the hub that may write: set HF_TOKEN, or run hf auth login"
        )
    try:
        made = api.create_repo(repo, repo_type="dataset", private=private, exist_ok=replace)
        api.create_commit(
            repo,
            [hub.CommitOperationAdd(file.name, str(file)) for file in files],
            commit_message="Dataset by lift-agent",
            repo_type="dataset",
        )
    except Exception as error:  # of the library, of its HTTP client, of its uploader
        raise HubError(_said(error, repo, api.endpoint)) from None
    return str(made)


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError("pushing needs huggingface_hub: pip install 'lift-agent[hub]'") from None
    return huggingface_hub


def _said(error: Exception, repo: str, endpoint: str) -> str:
    """What went wrong, by the hub's status."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return f"the hub does not know the token: make one that may write to {repo}"
    if status == 403:
        return f"the token may not write to {repo}: give it that right, or push to your own name"
    if status == 404:
        return f"the hub has no owner {repo.split('/', maxsplit=1)[0]} to which the token may write"
    if status == 409:
        return f"{repo} is on the hub already: push to another name, or write to it with --force"
    if status is not None:
        return f"the hub answered {status} to the push to {repo}: try again later"
    return f"the push to {repo} failed ({type(error).__name__}): is {endpoint} reachable?"
