"""The candidates that need no training by gradient: rules, most frequent reply, retrieval."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from apps.chatbot import rules
from core.progress import progress
from data.dialogues import Pair, Turn
from data.entities import PLACEHOLDER, unmask
from data.splitting import word_pattern

WITHOUT_TRAINING = ("rules", "most_frequent", "tfidf", "bm25")
WORD = word_pattern()


def context_text(turns: Sequence[Turn], num_turns: int) -> str:
    """The words of the last turns, as the network reads them."""
    return " ".join(turn.text for turn in turns[-num_turns:])


class Retrieval:
    """The reply to the nearest training context; how near is measured by a subclass.

    Args:
        pairs: Masked training pairs, at least one.
        context_turns: Last turns that are compared.
    """

    def __init__(self, pairs: Sequence[Pair], context_turns: int) -> None:
        self.pairs = pairs
        self.context_turns = context_turns
        self._fit([context_text(pair.context, context_turns) for pair in pairs])

    def nearest(
        self, contexts: Sequence[Sequence[Turn]], advance: Callable[[int], None] | None = None
    ) -> list[Pair]:
        """The training pair whose context is nearest to each context.

        Args:
            contexts: Masked.
            advance: Called with the number of contexts done since the last call.
        """
        texts = [context_text(turns, self.context_turns) for turns in contexts]
        found: list[Pair] = []
        for start in range(0, len(texts), 256):
            rows = self._nearest_rows(texts[start : start + 256])
            found += [self.pairs[row] for row in rows]
            if advance is not None:
                advance(len(rows))
        return found

    def reply_all(self, pairs: Sequence[Pair]) -> list[str]:
        """The nearest reply to each pair's context, the user's own numbers put back; with a bar."""
        with progress("nearest contexts", len(pairs)) as advance:
            nearest = self.nearest([pair.context for pair in pairs], advance)
        return [fill(found.reply, pair) for found, pair in zip(nearest, pairs, strict=True)]

    def _fit(self, texts: Sequence[str]) -> None:
        """Prepare the training contexts."""
        raise NotImplementedError

    def _nearest_rows(self, texts: Sequence[str]) -> list[int]:
        """The row of the nearest training context to each text."""
        raise NotImplementedError


class TfidfRetrieval(Retrieval):
    """Nearest by cosine of TF-IDF vectors over words and pairs of words.

    What shares no word with any training context gets the first training pair.
    """

    def _fit(self, texts: Sequence[str]) -> None:
        min_df = 2 if len(texts) > 50 else 1  # a corpus of a few pairs has no word twice
        has_words = any(re.search(WORD, text) for text in texts)
        self._vectorizer = TfidfVectorizer(
            ngram_range=(1, 2),
            min_df=min_df,
            sublinear_tf=True,
            token_pattern=WORD,
            vocabulary=None if has_words else [" "],  # sklearn refuses an empty one
        )
        try:
            self._matrix = self._vectorizer.fit_transform(texts)
        except ValueError:  # no word stands in two contexts
            self._vectorizer.set_params(min_df=1)
            self._matrix = self._vectorizer.fit_transform(texts)

    def similar(self, context: Sequence[Turn], count: int) -> list[tuple[Pair, float]]:
        """The training pairs with the nearest contexts, and their cosines, 0 to 1, nearest first.

        Of several with the same reply the nearest stands for all.
        """
        text = context_text(context, self.context_turns)
        cosines = (self._vectorizer.transform([text]) @ self._matrix.T).toarray()[0]  # (N,)
        found: dict[str, tuple[Pair, float]] = {}
        for row in np.argsort(-cosines, kind="stable"):
            if len(found) == count or cosines[row] == 0:
                break
            found.setdefault(self.pairs[row].reply, (self.pairs[row], float(cosines[row])))
        return list(found.values())

    def _nearest_rows(self, texts: Sequence[str]) -> list[int]:
        similarity = self._vectorizer.transform(texts) @ self._matrix.T  # (B, N), sparse
        return [int(row) for row in np.asarray(similarity.argmax(axis=1)).ravel()]


class Bm25Retrieval(Retrieval):
    """Nearest by BM25 over words (Robertson et al. 1994, in Lucene's form; k1 1.5, b 0.75)."""

    def _fit(self, texts: Sequence[str]) -> None:
        import bm25s

        logging.getLogger("bm25s").setLevel(logging.WARNING)  # it turns its own debugging on
        self._index = bm25s.BM25(backend="numpy")
        self._index.index([_words(text) for text in texts], show_progress=False)

    def _nearest_rows(self, texts: Sequence[str]) -> list[int]:
        words = [_words(text) for text in texts]
        found = self._index.retrieve(
            words, k=1, show_progress=False, return_as="documents", backend_selection="numpy"
        )
        return [int(row) for row in found[:, 0]]


def _words(text: str) -> list[str]:
    return re.findall(WORD, text.lower()) or [" "]  # bm25s refuses a corpus without a word


def replies_without_training(
    name: str, training: Sequence[Pair], pairs: Sequence[Pair], context_turns: int
) -> list[str]:
    """The replies of a baseline.

    Args:
        name: One of `WITHOUT_TRAINING`.
        training: Masked training pairs, at least one.
        pairs: What is answered, masked.
        context_turns: Last turns that retrieval compares.
    """
    match name:
        case "rules":
            return rule_replies(pairs)
        case "most_frequent":
            return most_frequent_replies(training, pairs)
        case "tfidf":
            return TfidfRetrieval(training, context_turns).reply_all(pairs)
        case "bm25":
            return Bm25Retrieval(training, context_turns).reply_all(pairs)
    raise ValueError(f"{name!r} is no baseline; choose one of {', '.join(WITHOUT_TRAINING)}")


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
