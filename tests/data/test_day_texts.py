import numpy as np

from data.day_texts import ENCODED_DAYS, MAX_WORDS, DayTexts
from data.words import bucket_of

TEXTS = np.array(["up", "", "7 %", "down\nand up", "", "", "", "low " * 99, "new"], object)


def words(batch, window, day):
    row = batch.day[window, day]
    return batch.tokens[row, : batch.lengths[row]].tolist() if row else []


def test_each_day_of_a_window_has_its_own_words_and_other_days_none():
    batch = DayTexts.of(TEXTS).batch(np.array([4, 7]), 4)
    assert batch.day.shape == (2, 4)
    expected = [["", "", "down and up", ""], ["", "", "", "low " * MAX_WORDS]]
    for window, days in enumerate(expected):
        for day, text in enumerate(days):
            assert words(batch, window, day) == [bucket_of(word) for word in text.split()]


def test_a_text_stands_once_however_many_windows_read_it():
    batch = DayTexts.of(TEXTS).batch(np.array([3, 4, 5, 6]), 3)
    assert len(batch.tokens) == 2
    assert batch.tokens.shape[1] == 3


def test_row_zero_is_kept_for_days_without_texts_even_where_all_have_some():
    batch = DayTexts.of(TEXTS[[7, 8]]).batch(np.array([1]), 2)
    assert len(batch.tokens) == 3
    assert batch.day.min() == 1
    none = DayTexts.of(TEXTS[[1, 2]]).batch(np.array([1]), 2)
    assert not none.day.any()
    assert none.lengths.tolist() == [1]


def test_only_the_newest_days_of_a_long_window_are_read():
    days = DayTexts.of(np.full(30, "up", object)).batch(np.array([29]), 20).day[0]
    assert days.bool().tolist() == [False] * (20 - ENCODED_DAYS) + [True] * ENCODED_DAYS
