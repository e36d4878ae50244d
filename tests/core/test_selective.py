import numpy as np
import pytest

from core.selective import risk_coverage


def test_the_surest_answers_are_kept_first() -> None:
    confidence = np.arange(10, 0, -1) / 10
    risk = np.arange(10) / 10
    found = risk_coverage(confidence, risk)
    assert found["coverage"] == pytest.approx(np.arange(1, 11) / 10)
    assert found["risk"] == pytest.approx([np.mean(risk[:kept]) for kept in range(1, 11)])
    assert found["aurc"] == pytest.approx(np.mean(found["risk"]))


def test_the_order_of_the_answers_changes_nothing_even_among_equals() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.integers(0, 4, 50) / 4
    risk = generator.random(50)
    expected = risk_coverage(confidence, risk)
    for _ in range(5):
        order = generator.permutation(50)
        found = risk_coverage(confidence[order], risk[order])
        assert found["risk"] == pytest.approx(expected["risk"])
        assert found["aurc"] == pytest.approx(expected["aurc"])


def test_confidence_that_knows_nothing_gains_nothing() -> None:
    risk = np.random.default_rng(0).random(40)
    found = risk_coverage(np.full(40, 0.5), risk)
    assert found["risk"] == pytest.approx([risk.mean()] * 10)
    assert found["aurc"] == pytest.approx(risk.mean())


def test_perfect_confidence_is_better_than_none_and_the_reverse_is_worse() -> None:
    risk = np.random.default_rng(0).random(200)
    best, worst = risk_coverage(-risk, risk)["aurc"], risk_coverage(risk, risk)["aurc"]
    assert best < risk.mean() < worst
    assert risk_coverage(-risk, risk)["risk"][-1] == pytest.approx(risk.mean())


@pytest.mark.parametrize("count", [1, 3, 11])
def test_few_answers_still_have_a_risk_at_every_coverage(count: int) -> None:
    found = risk_coverage(np.arange(count) / count, np.full(count, 0.25))
    assert found["risk"] == pytest.approx([0.25] * 10)
