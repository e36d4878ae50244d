import json

from tests.conftest import TINY_PRICES


def test_every_candidate_has_its_row_and_its_ratio(stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / "c", "--seeds", 2, *TINY_PRICES]
    result = command("stock-forecast", "compare", *words, "--json")
    rows = json.loads(result.out)
    names = ["random_walk", "ewma", "garch", "historical", "rnn", "lstm", "gru"]
    assert list(dict.fromkeys(row["name"] for row in rows)) == names
    assert [row["seed"] for row in rows if row["name"] == "gru"] == [0, 1]
    assert all(row.keys() >= {"name", "seed", "parameters", "seconds", "metrics"} for row in rows)
    best = min(row["metrics"]["crps_ratio"] for row in rows if not row["parameters"])
    assert best == 1.0


def test_the_table_divides_by_the_best_baseline(stocks, tmp_path, command):
    words = ["--data", stocks.data, "--run", tmp_path / "c", "--candidates", "random_walk,gru"]
    result = command("stock-forecast", "compare", *words, "--seeds", 1, *TINY_PRICES)
    assert result.code == 0
    assert "crps_relative / random_walk" in result.out
