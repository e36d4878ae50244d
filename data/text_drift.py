"""How far new conversations lie from those that a chatbot learned from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.data_report import Lengths, summary
from data.dialogues import Dialogue, reply_positions
from data.entities import PLACEHOLDER
from data.languages import guess_language
from data.splitting import opening_words
from data.text import Tokenizer

MOST_NAMED = 20  # new words that the report names


@dataclass
class Corpus:
    """Counts over dialogues.

    Attributes:
        words: How often each word was said, placeholders among them.
        halves: Of every second dialogue, and of the others.
        messages: Words of the user's messages.
        replies: Words of the replies.
        intents: Dialogues by intent.
        languages: Likewise by the language of the messages, guessed.
        num_tokens: Of all that was said.
        num_dialogues: How many.
    """

    words: Counter[str] = field(default_factory=Counter)
    halves: tuple[Counter[str], Counter[str]] = field(
        default_factory=lambda: (Counter(), Counter())
    )
    messages: Lengths = field(default_factory=Counter)
    replies: Lengths = field(default_factory=Counter)
    intents: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    num_tokens: int = 0
    num_dialogues: int = 0

    @classmethod
    def count(cls, dialogues: Iterable[Dialogue], tokenizer: Tokenizer) -> "Corpus":
        """Count over masked dialogues, read once."""
        corpus = cls()
        for dialogue in dialogues:
            corpus._add(dialogue, tokenizer)
        return corpus

    def _add(self, dialogue: Dialogue, tokenizer: Tokenizer) -> None:
        half = self.halves[self.num_dialogues % 2]
        self.num_dialogues += 1
        self.intents[dialogue.intent or ""] += 1
        said = " ".join(turn.text for turn in dialogue.turns if turn.speaker == "user")
        self.languages[guess_language(said[:2000])] += 1
        for position in reply_positions(dialogue.turns):
            self.messages[len(dialogue.turns[position - 1].text.split())] += 1
            self.replies[len(dialogue.turns[position].text.split())] += 1
        for turn in dialogue.turns:
            kinds = [f"<{name[1:].partition('_')[0]}>" for name in PLACEHOLDER.findall(turn.text)]
            found = [*opening_words(PLACEHOLDER.sub(" ", turn.text)), *kinds]
            self.words.update(found)
            half.update(found)
            self.num_tokens += len(tokenizer.encode(turn.text))


def text_drift(old: Corpus, new: Corpus) -> dict[str, Any]:
    """How far the new dialogues lie from the old ones, in plain containers.

    Returns:
        `vocabulary_divergence`: Jensen-Shannon divergence of the words' frequencies in bits, 0 for
        equal ones, 1 for no word in common, beside that of two halves of the old data, which is
        chance alone; `new_words`: share of the new words' occurrences that the old never had, and
        the most frequent of them; `tokens_per_word`: how finely the old tokenizer cuts each;
        `message_words`, `reply_words`: median, 95 % and most of each, and the Kolmogorov-Smirnov
        distance, 0 to 1; `languages_guessed`; `new_intents`; `new_entities`.
    """
    fresh = Counter({word: count for word, count in new.words.items() if word not in old.words})
    kinds = {word for word in fresh if word.startswith("<")}
    return {
        "dialogues": {"old": old.num_dialogues, "new": new.num_dialogues},
        "vocabulary_divergence": {
            "new": divergence(old.words, new.words),
            "halves_of_old": divergence(*old.halves),
        },
        "new_words": {
            "share": sum(fresh.values()) / max(new.words.total(), 1),
            "most_frequent": [word for word, _ in fresh.most_common(MOST_NAMED)],
        },
        "tokens_per_word": {
            "old": old.num_tokens / max(old.words.total(), 1),
            "new": new.num_tokens / max(new.words.total(), 1),
        },
        "message_words": _lengths(old.messages, new.messages),
        "reply_words": _lengths(old.replies, new.replies),
        "languages_guessed": {"old": _shares(old.languages), "new": _shares(new.languages)},
        "new_intents": sorted(new.intents.keys() - old.intents.keys() - {""}),
        "new_entities": sorted(kinds),
    }


def divergence(first: Mapping[str, int], second: Mapping[str, int]) -> float:
    """Jensen-Shannon divergence (Lin 1991) of two tables of counts, in bits, 0 to 1.

    >>> divergence({"a": 1, "b": 1}, {"a": 5, "b": 5}), divergence({"a": 1}, {"b": 1})
    (0.0, 1.0)
    """
    names = list({**first, **second})
    counts = np.array([[table.get(name, 0) for name in names] for table in (first, second)], float)
    totals = counts.sum(axis=1, keepdims=True)
    if not names or not totals.all():
        return 0.0
    p = counts / totals  # (2, words)
    middle = p.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / middle), 0.0)
    return float(min(max(terms.sum() / 2, 0.0), 1.0))


def ks_distance(first: Lengths, second: Lengths) -> float:
    """Largest distance of two distribution functions (Kolmogorov-Smirnov), 0 to 1."""
    values = sorted({**first, **second})
    shares = [
        np.cumsum([table[value] for value in values]) / max(table.total(), 1)
        for table in (first, second)
    ]
    return float(np.abs(shares[0] - shares[1]).max()) if values else 0.0


def _lengths(old: Lengths, new: Lengths) -> dict[str, Any]:
    return {"old": summary(old), "new": summary(new), "ks_distance": ks_distance(old, new)}


def _shares(counts: Counter[str]) -> dict[str, float]:
    return {name: count / counts.total() for name, count in counts.most_common(5)}


def drift_table(drift: Mapping[str, Any]) -> str:
    """A report of `text_drift` for people."""
    words, cut = drift["vocabulary_divergence"], drift["tokens_per_word"]
    fresh = drift["new_words"]
    named = ", ".join(fresh["most_frequent"][:8])
    rows = {
        "dialogues": f"{drift['dialogues']['old']:,} old, {drift['dialogues']['new']:,} new",
        "vocabulary": f"divergence {words['new']:.3f} bits; two halves of the old "
        f"{words['halves_of_old']:.3f}",
        "new words": f"{100 * fresh['share']:.1f} % of all" + (f": {named}" if named else ""),
        "tokens a word": f"{cut['old']:.2f} old, {cut['new']:.2f} new",
        **{
            name: f"KS distance {drift[key]['ks_distance']:.2f}"
            + "".join(f", median {drift[key][side]['median']} {side}" for side in ("old", "new"))
            for name, key in (("message", "message_words"), ("reply", "reply_words"))
        },
        "new intents": ", ".join(drift["new_intents"]) or "none",
        "new entities": ", ".join(drift["new_entities"]) or "none",
    }
    width = max(map(len, rows)) + 2
    lines = [f"{name:<{width}}{text}" for name, text in rows.items()]
    return "\n".join(["How far the new data lie from the old:", *lines])
