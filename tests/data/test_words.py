import numpy as np

from data.words import NUM_BUCKETS, bags_of_words, bucket_of, words_of


def test_words_are_letters_alone_in_lower_case():
    assert words_of("$ AAPL Beats by 3.5%, über-good_news!\n") == [
        "aapl", "beats", "by", "über", "good", "news",
    ]  # fmt: skip


def test_a_bucket_is_never_that_of_padding():
    buckets = [bucket_of(f"word{chr(97 + n % 26)}{n}") for n in range(20_000)]
    assert min(buckets) >= 1
    assert max(buckets) < NUM_BUCKETS
    assert len(set(buckets)) > 0.9 * NUM_BUCKETS


def test_a_bag_holds_each_word_once_and_has_length_one():
    bags = bags_of_words(np.array(["up up and down", "", "7 8"], object))
    assert bags.shape == (3, NUM_BUCKETS)
    assert set(bags[0].indices) == {bucket_of(word) for word in ("up", "and", "down")}
    np.testing.assert_allclose(bags.multiply(bags).sum(axis=1).A1, [1, 0, 0])
