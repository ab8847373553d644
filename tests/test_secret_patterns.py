"""Every form of a key is known in both uses: in an error, and in a row."""

import pytest

from lift_agent.agents.privacy import finds, masked
from lift_agent.redaction import MARK, redacted
from lift_agent.secret_patterns import KEY_FORMS, PRIVATE_KEY

DRAWN = "q7Zp3Kx9Lm2Vb8Tn4Rw6Yc1Hd5Jf0GsQa9xB7eU3iO5pA1sD8fG2hJ4kL6zX0cV9bN"
HEX = "3f9a1c7e5b2d8460a9f1c3e57b2d8460"
# Put together here, so that no scanner takes them for real ones.
KEYS = [
    ("OpenAI, Anthropic, OpenRouter", "sk-" + DRAWN[:48]),
    ("OpenAI, Anthropic, OpenRouter", "sk-" + "proj-" + DRAWN),
    ("OpenAI, Anthropic, OpenRouter", "sk-" + "svcacct-" + DRAWN),
    ("OpenAI, Anthropic, OpenRouter", "sk-" + "ant-api03-" + DRAWN + "-AA"),
    ("OpenAI, Anthropic, OpenRouter", "sk-" + "or-v1-" + HEX + HEX),
    ("Stripe", "sk_" + "live_" + DRAWN[:24]),
    ("Stripe", "rk_" + "test_" + DRAWN[:24]),
    ("Stripe", "whsec_" + DRAWN[:32]),
    ("AWS", "AKIA" + DRAWN.upper()[:16]),
    ("AWS", "ASIA" + DRAWN.upper()[:16]),
    ("GitHub", "ghp_" + DRAWN[:36]),
    ("GitHub", "gho_" + DRAWN[:36]),
    ("GitHub, fine-grained", "github_pat_" + DRAWN[:22] + "_" + DRAWN[:59]),
    ("GitLab", "glpat-" + DRAWN[:20]),
    ("GitLab", "glpat-" + DRAWN[:27] + ".01.0w1a2b3c4"),
    ("Google API", "AIza" + DRAWN[:35]),
    ("Google OAuth", "ya29." + DRAWN),
    ("Google OAuth", "GOCSPX-" + DRAWN[:28]),
    ("Slack", "xoxb-" + "123456789012-" + DRAWN[:24]),
    ("Slack", "xapp-" + "1-A0B1C2D3-123456-" + HEX),
    ("Slack webhook", "hooks.slack.com" + "/services/T0A1B2C3D/B4E5F6G7H/" + DRAWN[:24]),
    ("Hugging Face", "hf_" + DRAWN[:34]),
    ("Replicate", "r8_" + DRAWN[:37]),
    ("Groq", "gsk_" + DRAWN[:52]),
    ("xAI", "xai-" + DRAWN),
    ("Perplexity", "pplx-" + DRAWN[:48]),
    ("Fireworks", "fw_" + DRAWN[:24]),
    ("Together", "tgp_v1_" + DRAWN[:43]),
    ("NVIDIA", "nvapi-" + DRAWN[:64]),
    ("Upstage", "up_" + DRAWN[:29]),
    ("LangSmith", "lsv2_" + "pt_" + HEX + "_" + HEX[:10]),
    ("Databricks", "dapi" + HEX),
    ("npm", "npm_" + DRAWN[:36]),
    ("PyPI", "pypi-" + "AgEIcHlwaS5vcmc" + DRAWN),
    ("Twilio", "SK" + HEX),
    ("SendGrid", "SG." + DRAWN[:22] + "." + DRAWN[:43]),
    ("Azure storage", "AccountKey=" + (DRAWN + DRAWN)[:86] + "=="),
    ("Azure client secret", "q7Z" + "8Q~" + DRAWN[:34]),
    ("JSON Web Token", "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTYifQ." + DRAWN),
]
NO_KEYS = [
    "task-oriented-dialogue-systems-2024-edition and disk-based-storage-for-2,000-files",
    "sk_learn_model_selection_2024, pk_customer_orders, fw_version, up_to_date, npm_config_cache",
    "SKU 1234567890, dapi, SG.jpg, xai-explainability, the hf_hub_download function, AKIA",
    "Step 3Q~4, GET /services/T1/B2, AccountKey=YOUR_KEY, glob-pattern, glad-to-hear-it",
]


def test_every_form_has_an_example():
    assert {issuer for issuer, _ in KEYS} == {form.issuer for form in KEY_FORMS}


@pytest.mark.parametrize(("issuer", "key"), KEYS)
def test_a_key_is_cut_out_of_an_error_and_masked_in_a_row(issuer, key):
    assert redacted(f"refused: '{key}', try again") == f"refused: '{MARK}', try again"
    text = f"export KEY='{key}'."
    (find,) = finds(text)
    assert (find.kind, text[find.start : find.end]) == ("KEY", key)
    assert masked(text) == "export KEY='[KEY]'."


@pytest.mark.parametrize(("issuer", "key"), KEYS)
def test_the_beginning_of_a_key_is_cut_out_of_an_error(issuer, key):
    exact = issuer in ("AWS", "Databricks", "Twilio")  # of one length, and else in many words
    shown = key if exact else key[: len(key) - len(key) // 8]
    assert shown not in redacted(f"key {shown}… is not valid")


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_only_begins_like_a_key_is_data(text):
    assert not [find for find in finds(text) if find.kind == "KEY"]


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_is_known_whole_and_cut(kind):
    whole = f"-----BEGIN {kind}PRIVATE KEY-----\n{DRAWN}\n-----END {kind}PRIVATE KEY-----"
    assert PRIVATE_KEY.fullmatch(whole)
    for text in (whole, whole[:60]):
        assert redacted(f"a {text}") == f"a {MARK}"
        assert masked(f"a {text}") == "a [KEY]"
