"""How sure a reply is: the chance that it says what an agent would have said.

What is learned is the confidence of the reply, not of an intent. Its signals are how likely the
model found its own words, and how much of the message is made of word pieces in an order that
training has seen: a network is often sure of itself on text unlike any that it knows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import sacrebleu

from core.calibration import Calibrator
from core.stored import conformed
from data.dialogues import Dialogue, Pair, Turn, mask_dialogues
from data.out_of_domain import out_of_domain_messages

if TYPE_CHECKING:
    from apps.chatbot.inference import Chatbot

SIGNALS = ("mean_log_probability", "known_pairs", "known_triples", "log_message_length")
MOST_KNOWN = 100_000  # n-grams of a size that are kept, the most frequent first
OUT_OF_DOMAIN_WEIGHT = 0.15  # of all messages: how many are no business of the desk's
UNRELATED_QUANTILE = 0.95
OUT_OF_DOMAIN_REFUSED = 0.97  # share of the out-of-domain messages below the threshold
REFUSED = 0.02  # least share of the validation replies below it
CHRF = sacrebleu.CHRF()
MOST_REPLIES = 400  # of the validation part that are looked at


FIRST, LATER, END = -1, -2, -3  # what stands around a message: "thanks" never opens a conversation


class Familiarity:
    """Which runs of two and of three tokens the training messages held, in at least two of them.

    A message is framed: its n-grams tell how it begins and ends, and whether it is the first.

    Args:
        known: N-grams of token ids, of both sizes.
    """

    def __init__(self, known: Iterable[Sequence[int]]) -> None:
        self.known = frozenset(tuple(gram) for gram in known)

    @classmethod
    def fit(cls, messages: Iterable[Sequence[int]]) -> "Familiarity":
        """Count over the token ids of messages."""
        counts: dict[int, Counter[tuple[int, ...]]] = {2: Counter(), 3: Counter()}
        for ids in messages:
            for size, counter in counts.items():
                counter.update(set(_ngrams(ids, size)))
        return cls(
            gram
            for counter in counts.values()
            for gram, count in counter.most_common(MOST_KNOWN)
            if count > 1
        )

    def shares(self, ids: Sequence[int]) -> tuple[float, float]:
        """Share of a message's pairs and triples that are known, 0 to 1 each.

        Smoothed towards a half, so that a message of one word is neither known nor unknown.
        """
        found = []
        for size in (2, 3):
            grams = _ngrams(ids, size)
            found.append((sum(gram in self.known for gram in grams) + 0.5) / (len(grams) + 1))
        return found[0], found[1]

    def to_plain(self) -> list[list[int]]:
        """The n-grams, for JSON."""
        return sorted(list(gram) for gram in self.known)


class StoredConfidence(TypedDict):
    """What `Confidence.to_plain` gives."""

    threshold: float
    usual: float
    calibrator: Calibrator
    known: list[list[int]]


@dataclass(frozen=True)
class Confidence:
    """The chance that a reply is right, and below which chance a person answers.

    Attributes:
        familiarity: Of messages.
        calibrator: From SIGNALS to a probability.
        threshold: Only replies surer than this are given, 0 to 1.
        usual: Mean log-probability of a token in the middle one of the desk's own replies.
    """

    familiarity: Familiarity
    calibrator: Calibrator
    threshold: float
    usual: float

    def of(self, log_probability: float, num_tokens: int, message: Sequence[int]) -> float:
        """The chance that a reply is right, 0 to 1.

        Args:
            log_probability: Of the whole reply, natural logarithm.
            num_tokens: Tokens of the reply, EOS included.
            message: The customer's last message, as `framed` has it.
        """
        signals = reply_signals(self.familiarity, log_probability, num_tokens, message)
        return float(self.calibrator.probability(np.array(signals)))

    def is_familiar(self, message: Sequence[int]) -> bool:
        """Whether a reply to this message would be given, were it as likely as replies are."""
        return self.of(self.usual, 1, message) > self.threshold

    def to_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "threshold": self.threshold,
            "usual": self.usual,
            "calibrator": asdict(self.calibrator),
            "known": self.familiarity.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Confidence":
        """What `to_plain` gave.

        Raises:
            ValueError: It is something else.
        """
        stored = conformed(plain, StoredConfidence)
        calibrator = stored["calibrator"]
        if calibrator.names != SIGNALS or not calibrator.is_whole:
            raise ValueError(f"calibrator must have {len(SIGNALS)} signals, each with its scale")
        familiarity = Familiarity(stored["known"])
        return cls(familiarity, calibrator, stored["threshold"], stored["usual"])


def reply_signals(
    familiarity: Familiarity, log_probability: float, num_tokens: int, message: Sequence[int]
) -> tuple[float, ...]:
    """The SIGNALS of a reply; arguments as for `Confidence.of`."""
    pairs, triples = familiarity.shares(message)
    return log_probability / num_tokens, pairs, triples, float(np.log1p(len(message)))


def learn_confidence(
    bot: "Chatbot", training: Iterable[Dialogue], validation: Sequence[Pair]
) -> Confidence:
    """Let a trained chatbot answer held-out and out-of-domain messages, and learn from both.

    Args:
        bot: Without a confidence yet.
        training: Masked dialogues whose messages it knows.
        validation: Masked pairs that it was not trained on, at least one.
    """
    familiarity = Familiarity.fit(
        bot.framed_message(dialogue.turns[: position + 1])
        for dialogue in training
        for position, turn in enumerate(dialogue.turns)
        if turn.speaker == "user"
    )
    texts, own = _answered(bot, familiarity, validation)
    is_right = says_the_same(texts, [pair.reply for pair in validation])
    alien = out_of_domain_pairs(is_kept_back=False)
    return fit_confidence(familiarity, own, is_right, _answered(bot, familiarity, alien)[1])


def out_of_domain_pairs(is_kept_back: bool) -> list[Pair]:
    """Messages that are no business of the desk's, masked; their replies say nothing."""
    dialogues = [
        Dialogue(f"out-of-domain-{number}", (Turn("user", text), Turn("agent", "-")))
        for number, text in enumerate(out_of_domain_messages(is_kept_back))
    ]
    return [Pair(dialogue, 1) for dialogue in mask_dialogues(dialogues)]


def _answered(
    bot: "Chatbot", familiarity: Familiarity, pairs: Sequence[Pair]
) -> tuple[list[str], np.ndarray]:
    """The masked replies, and their signals (N, K)."""
    found = bot.search_all([pair.dialogue for pair in pairs], [pair.position for pair in pairs])
    texts, signals = [], []
    for (best, *_), pair in zip(found, pairs, strict=True):
        texts.append(bot.tokenizer.decode(best.tokens))
        message = bot.framed_message(pair.context)
        signals.append(
            reply_signals(familiarity, best.log_probability, len(best.tokens) + 1, message)
        )
    return texts, np.array(signals)


def fit_confidence(
    familiarity: Familiarity,
    in_domain: np.ndarray,
    is_right: np.ndarray,
    out_of_domain: np.ndarray,
) -> Confidence:
    """Fit the calibrator on held-out replies and choose the threshold there.

    The threshold lies above nearly all out-of-domain messages and at least above the least sure of
    the desk's own.

    Args:
        familiarity: Of the training messages.
        in_domain: Signals of replies to validation messages, (N, K).
        is_right: Whether each said what the agent said.
        out_of_domain: Signals of replies to messages that are no business of the desk's, (M, K).
    """
    signals = np.concatenate([in_domain, out_of_domain])
    right = np.concatenate([is_right, np.zeros(len(out_of_domain), bool)])
    share = OUT_OF_DOMAIN_WEIGHT / (1 - OUT_OF_DOMAIN_WEIGHT)
    weight = share * len(in_domain) / max(1, len(out_of_domain))
    weights = np.concatenate([np.ones(len(in_domain)), np.full(len(out_of_domain), weight)])
    calibrator = Calibrator.fit(SIGNALS, signals, right, weights)
    own = np.quantile(calibrator.probability(in_domain), REFUSED)
    alien = np.quantile(calibrator.probability(out_of_domain), OUT_OF_DOMAIN_REFUSED)
    usual = float(np.median(in_domain[:, SIGNALS.index("mean_log_probability")]))
    return Confidence(familiarity, calibrator, float(max(own, alien)), usual)


def says_the_same(texts: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """Whether each reply is nearer to the agent's than unrelated replies are, (N,)."""
    scores = [CHRF.sentence_score(t, [r]).score for t, r in zip(texts, references, strict=True)]
    return np.array(scores) > unrelated_limit(references)


def unrelated_limit(references: Sequence[str]) -> float:
    """The sentence chrF that 95 % of unrelated replies stay below: those of other conversations.

    A scale that the data set themselves, in any language; 50 where there is nothing to compare.
    """
    shift = max(1, len(references) // 2)
    others = [*references[shift:], *references[:shift]]
    unrelated = [
        CHRF.sentence_score(a, [b]).score for a, b in zip(references, others, strict=True) if a != b
    ]
    return float(np.quantile(unrelated, UNRELATED_QUANTILE)) if unrelated else 50.0


def framed(ids: Sequence[int], is_first: bool) -> list[int]:
    """A message's token ids between what tells its place in the conversation and its end."""
    return [FIRST if is_first else LATER, *ids, END]


def _ngrams(ids: Sequence[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(ids[start : start + size]) for start in range(len(ids) - size + 1)]
