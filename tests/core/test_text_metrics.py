import pytest
import sacrebleu

from core.text_metrics import Overlap, distinct_n, overlap_score, repetition_rate


@pytest.mark.parametrize(
    ("texts", "n", "expected"),
    [
        (["a b c"], 1, 1.0),
        (["a a a a"], 1, 0.25),
        (["a b a b"], 2, 2 / 3),
        (["a b", "a b"], 2, 0.5),
        (["a  b\nc"], 2, 1.0),
        (["a"], 2, 0.0),
        ([], 2, 0.0),
    ],
)
def test_distinct_n_counts_different_ngrams(texts: list[str], n: int, expected: float) -> None:
    assert distinct_n(texts, n) == pytest.approx(expected)


def test_no_ngram_reaches_from_one_text_into_the_next() -> None:
    assert distinct_n(["a b", "c d"], 2) == 1.0
    assert distinct_n(["a", "b", "a", "b"], 2) == 0.0


def test_more_of_the_same_is_less_distinct() -> None:
    texts = ["where is my order", "it is on its way"]
    assert distinct_n(texts * 2, 2) == pytest.approx(distinct_n(texts, 2) / 2)


def test_repetition_rate_is_the_share_of_texts_that_repeat_an_ngram() -> None:
    loop = "i can help i can help i can help"
    assert repetition_rate([loop, "one two three four five", "", "a a a a"]) == 0.25
    assert repetition_rate([loop]) == 1.0
    assert repetition_rate(["a b a b"], n=2) == 1.0
    assert repetition_rate(["a b a b"], n=3) == 0.0
    assert repetition_rate([]) == 0.0


def test_a_text_that_repeats_often_counts_once() -> None:
    assert repetition_rate(["x x x x x x x x x", "a b c d e"]) == 0.5


TEXTS = ["the lamp is on its way", "", "yes", "your order 12 was sent. thank you", "the the the"]
REFERENCES = ["the lamp is here", "hello", "yes", "your order 12 will be sent, thanks", "the end"]


def test_scores_from_counts_are_sacrebleus_for_the_corpus_and_for_any_part() -> None:
    counts = Overlap(REFERENCES).counts(TEXTS)
    for rows in ([0, 1, 2, 3, 4], [0, 3], [1], [2, 2, 4]):
        texts = [TEXTS[row] for row in rows]
        references = [[REFERENCES[row] for row in rows]]
        expected = {
            "bleu": sacrebleu.corpus_bleu(texts, references).score,
            "chrf": sacrebleu.corpus_chrf(texts, references).score,
        }
        for name, score in expected.items():
            sums = counts[name][rows].sum(axis=0, keepdims=True)
            assert overlap_score(name, sums) == pytest.approx([score])


def test_the_counts_of_a_text_give_its_sentence_chrf() -> None:
    found = overlap_score("chrf", Overlap(REFERENCES).counts(TEXTS)["chrf"])
    pairs = zip(TEXTS, REFERENCES, strict=True)
    expected = [sacrebleu.sentence_chrf(text, [reference]).score for text, reference in pairs]
    assert found == pytest.approx(expected)


def test_as_many_texts_as_references_are_wanted() -> None:
    with pytest.raises(ValueError, match="longer"):
        Overlap(REFERENCES).counts(TEXTS[:2])
