import numpy as np

from data.lexicon import BAD, GOOD, lexicon_scores


def test_no_word_is_good_and_bad():
    assert not GOOD & BAD


def test_good_words_score_above_zero_and_bad_ones_below():
    texts = ["Profit soars\nupgrade", "profit soars", "miss and beat", "the", "", "Shares PLUNGE"]
    scores = lexicon_scores(np.array(texts, object))
    assert scores[0] > scores[1] > 0 > scores[5]
    assert scores[2:5].tolist() == [0, 0, 0]
    assert np.abs(scores).max() < 1
