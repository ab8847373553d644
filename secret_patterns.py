"""How the keys of services look: one table, for redaction and for personal data in rows.

A *whole* key has its full length and stands alone: in a row, what only resembles a key is data.
A *piece* may be shorter and stand against other text: an error shows keys cut or run together, and
hiding too much there costs nothing. Keys of Cohere, Mistral, Azure OpenAI, Baseten and IBM have no
form of their own; they are known by where they stand, or because this process uses them.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class KeyForm(NamedTuple):
    """The form of one kind of key, as regular expressions: of a whole key, and of a piece."""

    issuer: str
    whole: str
    piece: str


_LETTERS, _BASE64URL = "A-Za-z0-9", "A-Za-z0-9_-"


def _prefixed(issuer: str, prefix: str, alphabet: str, whole: int, piece: int) -> KeyForm:
    """Keys that begin with a prefix; `whole` and `piece` are the least characters after it."""
    start = f"(?:{prefix})[{alphabet}]"
    return KeyForm(issuer, f"{start}{{{whole},}}", f"{start}{{{piece},}}")


KEY_FORMS = (
    # sk-proj-, sk-svcacct-, sk-ant-, sk-or-; of DeepSeek, LiteLLM and many others; pk-, rk-.
    KeyForm(
        "OpenAI, Anthropic, OpenRouter",
        f"sk-[{_BASE64URL}]{{20,}}",
        f"[prs]k[-_][{_BASE64URL}]{{16,}}",
    ),
    _prefixed("Stripe", "[rs]k_(?:live|test)_|whsec_", _LETTERS, 20, 16),
    _prefixed("AWS", "AKIA|ASIA|AGPA|AIDA|AROA", "A-Z0-9", 16, 16),
    _prefixed("GitHub", "gh[pousr]_", _LETTERS, 36, 20),
    _prefixed("GitHub, fine-grained", "github_pat_", "A-Za-z0-9_", 60, 20),
    KeyForm(
        "GitLab",
        rf"gl[a-z]{{2,4}}-[{_BASE64URL}]{{20,}}(?:\.\w\w\.\w{{7,}})?",
        rf"gl[a-z]{{2,4}}-[{_BASE64URL}]{{16,}}(?:\.\w\w\.\w{{7,}})?",
    ),
    _prefixed("Google API", "AIza", _BASE64URL, 35, 30),
    _prefixed("Google OAuth", r"ya29\.|GOCSPX-", _BASE64URL, 28, 16),
    _prefixed("Slack", "xox[a-z]-|xapp-", "A-Za-z0-9-", 10, 10),
    KeyForm(
        "Slack webhook",
        r"hooks\.slack\.com/services/T\w+/B\w+/\w{20,}",
        r"hooks\.slack\.com/services/[\w/]+",
    ),
    _prefixed("Hugging Face", "hf_|api_org_", _LETTERS, 34, 16),
    _prefixed("Replicate", "r8_", _LETTERS, 37, 20),
    _prefixed("Groq", "gsk_", _LETTERS, 40, 16),
    _prefixed("xAI", "xai-", _LETTERS, 40, 16),
    _prefixed("Perplexity", "pplx-", _LETTERS, 40, 16),
    _prefixed("Fireworks", "fw_", _LETTERS, 22, 20),
    _prefixed("Together", "tgp_v1_", _BASE64URL, 40, 16),
    _prefixed("NVIDIA", "nvapi-", _BASE64URL, 60, 16),
    _prefixed("Upstage", "up_", _LETTERS, 28, 24),
    _prefixed("LangSmith", "lsv2_[a-z]{2}_", "A-Za-z0-9_", 32, 16),
    _prefixed("Databricks", "dapi", "a-f0-9", 32, 32),
    _prefixed("npm", "npm_", _LETTERS, 36, 20),
    _prefixed("PyPI", "pypi-", _BASE64URL, 50, 20),
    _prefixed("Twilio", "SK", "a-f0-9", 32, 32),
    KeyForm(
        "SendGrid",
        rf"SG\.[{_BASE64URL}]{{20,}}\.[{_BASE64URL}]{{40,}}",
        rf"SG\.[{_BASE64URL}]{{16,}}(?:\.[{_BASE64URL}]+)?",
    ),
    KeyForm(
        "Azure storage",
        "AccountKey=[A-Za-z0-9+/]{80,}={0,2}",
        "AccountKey=[A-Za-z0-9+/]{16,}={0,2}",
    ),
    KeyForm("Azure client secret", r"\w{3}\dQ~[\w~.-]{31,34}", r"\w{3}\dQ~[\w~.-]{16,}"),
    KeyForm(
        "JSON Web Token",
        r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
        r"eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?",
    ),
)

_BLOCK = "(?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
PRIVATE_KEY = re.compile(rf"-----BEGIN {_BLOCK}.*?(?:-----END {_BLOCK}|\Z)", re.DOTALL)
WHOLE_KEY = re.compile(rf"(?<![\w-])(?:{'|'.join(form.whole for form in KEY_FORMS)})(?![\w-])")
KEY_PIECE = re.compile(rf"\b(?:{'|'.join(form.piece for form in KEY_FORMS)})")
