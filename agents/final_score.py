"""The final score of a row: judge score and length score together, as in the LIFT paper."""

from __future__ import annotations

from collections.abc import Mapping

from ..records import Row, Score

JUDGE_WEIGHT, LENGTH_WEIGHT = 0.9, 0.1  # of the final score, as in the LIFT paper


def final_score(
    row: Row,
    judge: float,
    length_cap: float,
    reason: str,
    parts: Mapping[str, float] | None = None,
    *,
    judgements: tuple[float, ...] = (),
    concatenation: bool = False,
    panel: Mapping[str, Mapping[str, float]] | None = None,
) -> Score:
    """Combine judge score and length score as the paper does: 0.9 × judge + 0.1 × length.

    The length score is 100 × length / `length_cap`, at most 100.
    """
    length = min(100.0, 100.0 * text_length(row) / length_cap)
    final = JUDGE_WEIGHT * judge + LENGTH_WEIGHT * length
    return Score(
        *(row.id, judge, length, final, parts or {}, reason, ""),
        *(judgements, concatenation, panel or {}),
    )


def text_length(row: Row) -> int:
    """The paper's length of a row: characters of its texts without tabs and line ends."""
    text = row.instruction + row.input + row.output
    return len(text) - text.count("\t") - text.count("\n")
