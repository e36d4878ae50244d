"""The candidates that need no training by gradient: rules, most frequent reply, retrieval."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from apps.chatbot import rules
from data.dialogues import Pair, Turn
from data.entities import PLACEHOLDER, unmask


def context_text(turns: Sequence[Turn], num_turns: int) -> str:
    """The words of the last turns, as the network reads them."""
    return " ".join(turn.text for turn in turns[-num_turns:])


class TfidfRetrieval:
    """The reply to the nearest training context by cosine of TF-IDF vectors.

    Args:
        pairs: Masked training pairs, at least one.
        context_turns: Last turns that are compared.
    """

    def __init__(self, pairs: Sequence[Pair], context_turns: int) -> None:
        self.pairs = pairs
        self.context_turns = context_turns
        texts = [context_text(pair.context, context_turns) for pair in pairs]
        min_df = 2 if len(pairs) > 50 else 1  # a corpus of a few pairs has no word twice
        self._vectorizer = TfidfVectorizer(
            ngram_range=(1, 2), min_df=min_df, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"
        )
        self._matrix = self._vectorizer.fit_transform(texts)

    def nearest(self, contexts: Sequence[Sequence[Turn]]) -> list[Pair]:
        """The training pair whose context is nearest to each context."""
        texts = [context_text(turns, self.context_turns) for turns in contexts]
        found: list[Pair] = []
        for start in range(0, len(texts), 256):
            vectors = self._vectorizer.transform(texts[start : start + 256])
            similarity = vectors @ self._matrix.T  # (256, N), sparse
            found += [self.pairs[index] for index in np.asarray(similarity.argmax(axis=1)).ravel()]
        return found

    def reply_all(self, pairs: Sequence[Pair]) -> list[str]:
        """The nearest reply to each pair's context, the user's own numbers put back."""
        nearest = self.nearest([pair.context for pair in pairs])
        return [fill(found.reply, pair) for found, pair in zip(nearest, pairs, strict=True)]


def most_frequent_replies(training: Sequence[Pair], pairs: Sequence[Pair]) -> list[str]:
    """The training part's most frequent reply to everything."""
    reply = Counter(pair.reply for pair in training).most_common(1)[0][0]
    return [fill(reply, pair) for pair in pairs]


def rule_replies(pairs: Sequence[Pair]) -> list[str]:
    """What a keyword bot answers to the last message."""
    return [rules.answer(pair.context[-1].text) for pair in pairs]


def fill(reply: str, pair: Pair) -> str:
    """Put the user's values into a masked reply; what the context does not give is dropped."""
    said = {name for turn in pair.context for name in PLACEHOLDER.findall(turn.text)}
    values = {name: value for name, value in pair.dialogue.values.items() if name in said}
    return unmask(reply, values)
