import numpy as np
import pytest

from core.loading import Rehearsal


@pytest.mark.parametrize(("share", "num_old"), [(0.75, 30), (0.5, 10), (0.0, 0), (0.95, 60)])
def test_an_epoch_holds_all_new_rows_and_the_share_of_old_ones(share: float, num_old: int) -> None:
    rows = Rehearsal(60, share).draw(70, np.random.default_rng(0))
    assert (rows < 60).sum() == num_old  # all there are where more would be wanted
    assert set(range(60, 70)) <= set(rows.tolist())
    assert len(set(rows.tolist())) == len(rows)
    assert (np.diff(rows) > 0).all()


def test_each_epoch_rehearses_other_old_rows() -> None:
    first, second = (Rehearsal(60, 0.5).draw(70, np.random.default_rng(n)) for n in (0, 1))
    assert first.tolist() != second.tolist()


def test_a_first_training_takes_everything() -> None:
    assert Rehearsal(0, 0.0).draw(5, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]
