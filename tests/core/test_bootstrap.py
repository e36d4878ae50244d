"""The bootstrap, against corpora that are really drawn and scored from their texts."""

from functools import partial

import numpy as np
import pytest
import sacrebleu

from core.bootstrap import NUM_RESAMPLES, group_sums, interval, paired_difference, resample
from core.text_metrics import Overlap, overlap_score

WORDS = ["the", "lamp", "order", "is", "here", "was", "sent", "late", "thank", "you"]


def mean(sums: np.ndarray) -> np.ndarray:
    """Of values that are counted with a one beside each."""
    return sums[:, 0] / sums[:, 1]


def units(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones(len(values), int)], axis=1)


def made_up_texts(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(1, 9))) for _ in range(count)]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_resampled_scores_are_those_of_the_drawn_dialogues_texts(name: str) -> None:
    texts, references = made_up_texts(18, 0), made_up_texts(18, 1)
    groups = [f"dialogue {row // 3}" for row in range(18)]
    sums = group_sums(Overlap(references).counts(texts)[name], groups)
    found = resample(sums, partial(overlap_score, name), num_resamples=8, seed=5)
    times = np.random.default_rng(5).multinomial(6, np.full(6, 1 / 6), size=8)
    score = {"bleu": sacrebleu.corpus_bleu, "chrf": sacrebleu.corpus_chrf}[name]
    for one, counts in zip(found, times, strict=True):
        rows = [
            3 * unit + part for unit in range(6) for _ in range(counts[unit]) for part in range(3)
        ]
        drawn = [[part[row] for row in rows] for part in (texts, references)]
        assert one == pytest.approx(score(drawn[0], [drawn[1]]).score)


def test_units_are_summed_in_the_order_of_their_first_members() -> None:
    counts = np.array([[1, 10], [2, 20], [4, 40], [8, 80]])
    found = group_sums(counts, ["b", "a", "b", "c"])
    assert found.tolist() == [[5, 50], [2, 20], [8, 80]]


def test_as_many_resamples_as_asked_for_whatever_the_chunk() -> None:
    values = units(np.arange(7))
    assert len(resample(values, mean)) == NUM_RESAMPLES
    whole = resample(values, mean, num_resamples=250, seed=3)
    assert len(whole) == 250
    assert whole[:100].tolist() == resample(values, mean, num_resamples=100, seed=3).tolist()


def test_the_interval_of_a_mean_is_the_central_limits() -> None:
    values = np.random.default_rng(0).integers(0, 100, 400)
    low, high = interval(resample(units(values), mean))
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.2 * half
    )


def test_whole_dialogues_give_wider_intervals_than_their_replies_one_by_one() -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 100, 50), 8)  # alike in a dialogue
    dialogues = group_sums(units(values), np.repeat(np.arange(50), 8).tolist())
    widths = [float(np.ptp(interval(resample(rows, mean)))) for rows in (units(values), dialogues)]
    assert widths[1] > 2 * widths[0]


def p_value(first: np.ndarray, second: np.ndarray, seed: int = 0) -> float:
    drawn = [resample(units(values), mean, 400, seed) for values in (first, second)]
    observed = float(first.mean() - second.mean())
    return float(paired_difference(observed, drawn[0] - drawn[1])["p_value"])


def test_p_is_evenly_spread_where_there_is_no_difference() -> None:
    generator = np.random.default_rng(0)
    found = []
    for seed in range(300):
        both = generator.integers(0, 100, (2, 60)) + generator.integers(0, 100, 60)
        found.append(p_value(both[0], both[1], seed))
    for level in (0.05, 0.2, 0.5):
        share = float(np.mean(np.array(found) <= level))
        assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 300))


def test_a_clear_difference_has_the_least_p_and_none_at_all_has_the_most() -> None:
    values = np.random.default_rng(0).integers(0, 100, 60)
    assert p_value(values + 50, values) == pytest.approx(1 / 401)
    assert p_value(values, values) == 1
    noise = np.random.default_rng(1).integers(0, 20, 60)
    assert (
        p_value(values + noise, values) == p_value(values, values + noise) == pytest.approx(1 / 401)
    )


def test_pairing_sees_what_two_intervals_hide() -> None:
    values = np.random.default_rng(0).integers(0, 1000, 60)
    better = values + np.random.default_rng(1).integers(0, 5, 60)
    drawn = [resample(units(part), mean) for part in (better, values)]
    assert interval(drawn[0])[0] < interval(drawn[1])[1]
    found = paired_difference(float(better.mean() - values.mean()), drawn[0] - drawn[1])
    assert found["p_value"] < 0.01
    assert 0 < found["interval"][0] < found["difference"] < found["interval"][1]
