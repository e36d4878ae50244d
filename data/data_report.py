"""What is in the data, before anything is learned from them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data.dialogues import Dialogue, hash64, reply_positions
from data.entities import PLACEHOLDER
from data.languages import guess_language

Lengths = Counter[int]
ROLES = ("message", "reply")


@dataclass
class DataReport:
    """Counts over the dialogues, collected one by one.

    Attributes:
        source: Where they come from.
        dialogues: Read and usable.
        pairs: Replies to learn from or to be tested on.
        exact_duplicates: Dialogues that say word for word, masked, what an earlier one says.
        near_duplicates: Left out of a part, because their opening question is nearly one of a later
            part.
        parts: Dialogues and pairs of each part.
        fixed: Likewise of those that named their part and kept it (`SplitConfig.num_fixed`); they
            stand first in each part.
        words: Words of the user's messages and of the agent's replies.
        tokens: Likewise tokens, of the training part.
        languages: Dialogues by the language of the user's messages, guessed.
        entities: Masked, by type.
        dropped: What was left out, by reason.
    """

    source: str
    dialogues: int = 0
    pairs: int = 0
    exact_duplicates: int = 0
    near_duplicates: Counter[str] = field(default_factory=Counter)
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    fixed: dict[str, dict[str, int]] = field(default_factory=dict)
    words: dict[str, Lengths] = field(default_factory=lambda: {role: Counter() for role in ROLES})
    tokens: dict[str, Lengths] = field(default_factory=lambda: {role: Counter() for role in ROLES})
    languages: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def count(self, masked: Dialogue) -> None:
        """Take a masked dialogue into account."""
        self.dialogues += 1
        positions = reply_positions(masked.turns)
        self.pairs += len(positions)
        for position in positions:
            self.words["message"][len(masked.turns[position - 1].text.split())] += 1
            self.words["reply"][len(masked.turns[position].text.split())] += 1
        for turn in masked.turns:
            self.entities.update(_type(name) for name in PLACEHOLDER.findall(turn.text))
        said = " ".join(turn.text for turn in masked.turns if turn.speaker == "user")
        self.languages[guess_language(said[:2000])] += 1

    def as_dict(self) -> dict[str, Any]:
        """What `data_report.json` says."""
        report: dict[str, Any] = {
            "source": self.source,
            "dialogues": self.dialogues,
            "pairs": self.pairs,
            "parts": self.parts,
            "fixed": self.fixed,
            "exact_duplicates": self.exact_duplicates,
            "near_duplicates_left_out": dict(self.near_duplicates),
            "languages_guessed": dict(self.languages.most_common()),
            "entities_masked": dict(self.entities.most_common()),
            "dropped": dict(self.dropped),
        }
        for role in ROLES:
            report[role] = {
                "words": summary(self.words[role]),
                "tokens": summary(self.tokens[role]),
            }
        return report


def _type(placeholder: str) -> str:
    return placeholder[1:].partition("_")[0]


def dialogue_hash(masked: Dialogue) -> int:
    """64 bits of all that is said."""
    return hash64("\n".join(f"{turn.speaker} {turn.text}" for turn in masked.turns))


def summary(lengths: Lengths) -> dict[str, int] | None:
    """Median, 95 % quantile (the smallest length that so many do not exceed) and maximum."""
    if not lengths:
        return None
    return {
        "median": _quantile(lengths, 0.5),
        "p95": _quantile(lengths, 0.95),
        "max": max(lengths),
    }


def _quantile(lengths: Lengths, share: float) -> int:
    wanted, below = share * lengths.total(), 0
    for length in sorted(lengths):
        below += lengths[length]
        if below >= wanted:
            return length
    return max(lengths)


def table(report: Mapping[str, Any]) -> str:
    """A report, as `as_dict` gives it, for people."""
    parts = ", ".join(
        f"{name} {part['dialogues']:,} ({part['pairs']:,} pairs)"
        for name, part in report["parts"].items()
    )
    rows = {
        "dialogues": f"{report['dialogues']:,} with {report['pairs']:,} pairs",
        "parts": parts,
        "exact duplicates": f"{report['exact_duplicates']:,} dialogues, kept",
        "near-duplicates": _counts(report["near_duplicates_left_out"]) + " left out",
        "message": _lengths(report["message"]),
        "reply": _lengths(report["reply"]),
        "languages (a guess)": _counts(report["languages_guessed"]),
        "entities masked": _counts(report["entities_masked"]),
        "dropped": ", ".join(f"{count:,} {what}" for what, count in report["dropped"].items()),
    }
    width = max(map(len, rows)) + 2
    lines = [f"{name:<{width}}{text or 'none'}" for name, text in rows.items()]
    return "\n".join([f"Data: {report['source']}", *lines])


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _lengths(role: Mapping[str, Mapping[str, int] | None]) -> str:
    return "; ".join(
        f"{unit}: median {found['median']}, 95 % {found['p95']}, most {found['max']}"
        for unit, found in role.items()
        if found
    )
