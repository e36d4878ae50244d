"""The replies that every way to answer is scored on, and what a score on them consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from torch import Tensor, tensor

from apps.chatbot.confidence import unrelated_limit
from apps.chatbot.inference import Reply
from apps.chatbot.scores import score_by_length, score_by_turn, score_content, worst_replies
from core.bootstrap import group_sums, interval, paired_difference, resample
from core.calibration import calibration_error
from core.diagnostics import spread_rows
from core.progress import progress
from core.selective import risk_coverage
from core.text_metrics import OVERLAPS, Counts, Overlap, overlap_score
from data.dialogues import Pair

LONGEST_LAG = 100  # tokens over which the gradient is measured, at most


@dataclass(frozen=True)
class Scored:
    """How somebody's replies did.

    Attributes:
        metrics: By name, for JSON: `bleu`, `chrf`, what `score_content` gives, `intervals` (95 %,
            over dialogues) of BLEU and chrF, `by_turn` and `by_length`.
        counts: Of each reply, what BLEU and chrF are made of.
        resampled: BLEU and chrF of resampled dialogues, paired between all that is scored on the
            same pairs.
    """

    metrics: dict[str, Any]
    counts: Counts
    resampled: dict[str, np.ndarray]


@dataclass(frozen=True)
class HeldOut:
    """Dialogues on which several ways to answer are scored.

    Attributes:
        pairs: Masked.
        references: What the agents wrote.
        sources: The contexts' token ids, as the networks read them.
    """

    pairs: Sequence[Pair]
    references: Sequence[str]
    sources: Sequence[Sequence[int]]

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each source."""
        return [len(source) for source in self.sources]

    @cached_property
    def num_dialogues(self) -> int:
        """How many dialogues the pairs stem from."""
        return len({pair.dialogue.dialogue_id for pair in self.pairs})

    def score(self, texts: Sequence[str]) -> Scored:
        """Every score that the replies alone give, with a bar.

        Args:
            texts: One a pair, with the user's own entities put back.
        """
        with progress("scoring", len(texts)) as advance:
            counts = Overlap(self.references).counts(texts, advance)
        groups = [pair.dialogue.dialogue_id for pair in self.pairs]
        resampled = {
            name: resample(group_sums(found, groups), partial(overlap_score, name))
            for name, found in counts.items()
        }
        metrics = {
            **{
                name: float(overlap_score(name, found.sum(axis=0, keepdims=True))[0])
                for name, found in counts.items()
            },
            **score_content(texts, self.pairs),
            "intervals": {name: interval(scores) for name, scores in resampled.items()},
            "by_turn": score_by_turn(counts, self.pairs),
            "by_length": score_by_length(counts, self.lengths),
        }
        return Scored(metrics, counts, resampled)

    def judge(self, scored: Scored, replies: Sequence[Reply]) -> dict[str, Any]:
        """What the confidences are worth: `risk_coverage`, `calibration_error`, and `worst`.

        The risk of a reply is 1 less its sentence chrF over 100; a reply is right, for the
        calibration, where it says what the agent said (`apps.chatbot.confidence`).

        Args:
            scored: What `score` gave for their texts.
            replies: A network's.
        """
        chrf = overlap_score("chrf", scored.counts["chrf"])  # (N,)
        confidence = np.array([reply.confidence for reply in replies])
        is_right = chrf > unrelated_limit(self.references)
        return {
            "risk_coverage": risk_coverage(confidence, 1 - chrf / 100),
            "calibration_error": calibration_error(confidence, is_right),
            "worst": worst_replies(replies, self.pairs, chrf.tolist()),
        }

    def long_sources(self) -> Tensor:
        """The last tokens of the longest quarter of the sources, nothing padded."""
        length = min(LONGEST_LAG, int(np.quantile(self.lengths, 0.75, method="lower")))
        ends = [source[-length:] for source in self.sources if len(source) >= length]
        return tensor([ends[row] for row in spread_rows(len(ends))])  # (B, S)


def lead(own: Sequence[Scored], other: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    """How far one way to answer lies above another: `core.bootstrap.paired_difference` by score.

    Args:
        own: One a seed, all on the same pairs.
        other: Likewise; the mean over the seeds is compared.
    """
    found = {}
    for name in OVERLAPS:
        observed = [np.mean([one.metrics[name] for one in members]) for members in (own, other)]
        drawn = [np.mean([one.resampled[name] for one in each], axis=0) for each in (own, other)]
        found[name] = paired_difference(float(observed[0] - observed[1]), drawn[0] - drawn[1])
    return found
