"""Scores that the replies alone give: overlap, entities, parts, and which were worst."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from apps.chatbot.inference import Reply
from core.text_metrics import Counts, distinct_n, overlap_score, repetition_rate
from data.dialogues import Pair
from data.entities import PLACEHOLDER, mask_once

LENGTHS = ("short", "middle", "long")
TURNS = ("first", "second", "third", "later")
NUM_WORST = 20


def score_content(texts: Sequence[str], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Variety, repetition, and what became of the user's entities.

    Args:
        texts: Replies with the user's own entities put back, at least one.
        pairs: What they answer, masked.
    """
    right = wanted = invented = 0
    for text, pair in zip(texts, pairs, strict=True):
        said = {name for turn in pair.context for name in PLACEHOLDER.findall(turn.text)}
        values = [value for name, value in pair.dialogue.values.items() if name in said]
        for name in set(PLACEHOLDER.findall(pair.reply)) & said:
            wanted += 1
            right += pair.dialogue.values.get(name, name) in text
        spans = [text[start:end] for start, end, _ in mask_once(text)]
        invented += any(not any(span in value for value in values) for span in spans)
    return {
        "distinct_1": distinct_n(texts, 1),
        "distinct_2": distinct_n(texts, 2),
        "repetition_rate": repetition_rate(texts),
        "entity_accuracy": right / wanted if wanted else None,
        "hallucinated_entity_rate": invented / len(texts),
    }


def score_part(counts: Counts, rows: Sequence[int]) -> dict[str, Any]:
    """`num_pairs`, `bleu` and `chrf` of some of the replies; the scores are None without one."""
    scores = {
        name: float(overlap_score(name, found[rows].sum(axis=0, keepdims=True))[0])
        if len(rows)
        else None
        for name, found in counts.items()
    }
    return {"num_pairs": len(rows), **scores}


def score_by_length(counts: Counts, lengths: Sequence[int]) -> dict[str, dict[str, Any]]:
    """BLEU and chrF of the replies to short, middle and long sources.

    Args:
        counts: Of each reply.
        lengths: Tokens of each source.

    Returns:
        By name: `tokens` (fewest and most), and what `score_part` gives. Sources of one length stay
        together, so that a third may be empty: then `tokens` is None.
    """
    bounds = np.quantile(lengths, [1 / 3, 2 / 3], method="lower")
    third = np.searchsorted(bounds, lengths)  # 0 up to the first bound, 1 up to the second
    scores: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(LENGTHS):
        rows = np.flatnonzero(third == number).tolist()
        own = [lengths[row] for row in rows]
        tokens = [min(own), max(own)] if own else None
        scores[name] = {"tokens": tokens, **score_part(counts, rows)}
    return scores


def score_by_turn(counts: Counts, pairs: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """What `score_part` gives of the first, second, third and the later replies of a dialogue."""
    numbers = [min(reply_number(pair), len(TURNS)) for pair in pairs]
    return {
        name: score_part(counts, [row for row, own in enumerate(numbers) if own == number])
        for number, name in enumerate(TURNS, 1)
    }


def reply_number(pair: Pair) -> int:
    """Which of the agent's replies to the user this one is, from 1 on."""
    speakers = [turn.speaker for turn in pair.context]
    return 1 + sum(both == ("user", "agent") for both in pairwise(speakers))


def worst_replies(
    replies: Sequence[Reply], pairs: Sequence[Pair], chrf: Sequence[float]
) -> list[dict[str, Any]]:
    """The replies that have the least in common with their reference, the worst first.

    Every text is masked: the list is made to be shown around.

    Args:
        replies: The model's.
        pairs: What they answer, masked.
        chrf: Of each reply against the raw reference, 0 to 100.

    Returns:
        `question` (the user's last message), `reply`, `reference`, `chrf` and `confidence` of each.
    """
    order = sorted(range(len(replies)), key=lambda row: chrf[row])[:NUM_WORST]
    return [
        {
            "question": pairs[row].context[-1].text,
            "reply": replies[row].masked,
            "reference": pairs[row].reply,
            "chrf": float(chrf[row]),
            "confidence": replies[row].confidence,
        }
        for row in order
    ]
