"""Personal data and secrets: what is found, what is left alone, and masks."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import luhn

from lift_agent.agents.privacy import finds, masked, masked_row, personal
from lift_agent.records import Row

DRAWN = "q7Zp3Kx9Lm2Vb8Tn4Rw6Yc1Hd5Jf0Gs"  # no key of anybody, but drawn like one

FOUND = [
    ("EMAIL", "Write to anna.karlsson+news@posteo.de."),
    ("EMAIL", "MAILTO:m_rossi@studio-rossi.co.uk"),
    ("PHONE", "Call +44 20 7946 0018 now"),
    ("PHONE", "Call (212) 736-5000."),
    ("PHONE", "Ring 212-736-5001 today"),
    ("CARD", "Card 4539 1488 0343 6467, please"),
    ("CARD", "5425233430109903"),
    ("IBAN", "Pay to DE75 5121 0800 1245 1261 99 today"),
    ("IP", "The server is 93.184.215.14."),
    ("IP", "ping 2606:2800:21f:cb07:6820:80da:af6b:8b2c"),
    ("KEY", f"OPENAI_API_KEY=sk-proj-{DRAWN}"),
    ("KEY", f"key = 'sk-ant-api03-{DRAWN}'"),
    ("KEY", f"AKIA{DRAWN.upper()[:16]}"),
    ("KEY", f"ghp_{DRAWN}Qa9xB"),
    ("KEY", f"AIza{DRAWN}Qa9x"),
    ("KEY", f"xoxb-{DRAWN}"),
    ("KEY", f"hf_{DRAWN}Qa9x"),
    ("KEY", f"sk_live_{DRAWN}"),
    ("KEY", f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.{DRAWN}"),
    ("KEY", f"-----BEGIN RSA PRIVATE KEY-----\n{DRAWN}\n-----END RSA PRIVATE KEY-----"),
]
LEFT_ALONE = [
    "alice@example.com, you@gmail.com, user@yourdomain.com, root@localhost",
    "@app.route('/') and a @ b, x@y",
    "git clone git@github.com:owner/name.git",
    "Call 555-0100, (212) 555-0199 or 123-456-7890.",
    "pip install tool==1.2.3.4, version 8.31.14.5, Chrome/91.0.4472.124",
    "127.0.0.1, 10.1.2.3, 192.168.0.12, 203.0.113.7, 2001:db8::1, ::1, 8.8.8.8",
    "letters[::2], std::vector<int>, 12:30:45, a::b",
    "4111 1111 1111 1111 and 4539 1488 0343 6468 and 1234567812345678",
    "3.14159265358979, 2147483647, 18446744073709551615, 1,234,567,890",
    "12 x 34 = 408; 2023-06-01 12:00; 100 - 200 - 3000; 0.5 + 0.25",
    "GB00 1234 5678 9012 3456 78, DE75 5121 0800 1245 1261 98",
    "sk-your-api-key-goes-right-here, sk-xxxxxxxxxxxxxxxxxxxxxxxx, ghp_" + "x" * 36,
    "task-oriented-dialogue-systems-2024-edition",
    "d41d8cd98f00b204e9800998ecf8427e and 550e8400-e29b-41d4-a716-446655440000",
]


@pytest.mark.parametrize(("kind", "text"), FOUND)
def test_personal_data_and_secrets_are_found_by_kind(kind, text):
    (find,) = finds(text)
    assert find.kind == kind
    assert f"[{kind}]" in masked(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_placeholders_documentation_versions_and_plain_numbers_are_left_alone(text):
    assert finds(text) == []


@given(st.integers(10**11, 10**17))
def test_exactly_one_check_digit_makes_a_card_number(number):
    assert sum(luhn.is_valid(f"{number}{digit}") for digit in range(10)) == 1


PIECES = st.sampled_from([text for _, text in FOUND]) | st.text(
    string.ascii_letters + string.digits + " .:-@+[]()/\nß日", max_size=30
)


@given(st.lists(PIECES, max_size=6), st.sampled_from(("", " ", "\n", ", ")))
@settings(max_examples=200, deadline=None)
def test_masking_leaves_nothing_to_mask_and_touches_nothing_else(pieces, between):
    text = between.join(pieces)
    once = masked(text)
    assert masked(once) == once
    assert not finds(once)
    kept, at = "", 0
    for find in finds(text):
        kept, at = kept + text[at : find.start] + f"[{find.kind}]", find.end
    kept += text[at:]
    assert once == kept or finds(kept)


def test_what_stood_against_a_mask_is_masked_as_well():
    key = f"AKIA{DRAWN.upper()[:16]}"
    block = f"-----BEGIN PRIVATE KEY-----\n{DRAWN}\n-----END PRIVATE KEY-----"
    assert masked(key + block) == "[KEY][KEY]"


def test_a_masked_row_has_no_personal_data_in_any_text_or_column():
    mail = "m_rossi@studio-rossi.co.uk"
    extra = {"response": mail, "meta": {"by": [mail, 7, None]}, "n": 1.5}
    row = Row("a", 0, mail, f"x {mail}", f"{mail}!", mail, ((mail, mail),), extra=extra)
    assert personal(row) == {"EMAIL": 6}
    made = masked_row(row)
    assert mail not in repr(made)
    assert made.extra == {"response": "[EMAIL]", "meta": {"by": ["[EMAIL]", 7, None]}, "n": 1.5}
    assert not personal(made)
