"""`check` of both apps on real runs."""

import json
import shutil

import pytest

APPS = ["chatbot", "stock-forecast"]


@pytest.fixture
def run(request, chat, stocks, tmp_path):
    """A copy of a tiny run."""
    source = chat.run if request.param == "chatbot" else stocks.run
    return request.param, shutil.copytree(source, tmp_path / "run")


@pytest.mark.parametrize("run", APPS, indirect=True)
def test_a_run_that_was_just_trained_is_healthy(run, command):
    app, path = run
    done = command(app, "check", "--run", path, "--max_seconds", 60, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["healthy"]
    assert found["run"] == str(path)
    assert [check["ok"] for check in found["checks"]] == [True] * 3


@pytest.mark.parametrize("run", APPS, indirect=True)
def test_slow_is_exit_code_1_and_said_in_a_line(run, command):
    app, path = run
    done = command(app, "check", "--run", path, "--max_seconds", 1e-6)
    assert done.code == 1
    assert "FAIL  answers" in done.out
    assert "not healthy" in done.out


def test_old_prices_are_exit_code_1(stocks, command):
    done = command("stock-forecast", "check", "--run", stocks.run, "--max_age_days", 4, "--json")
    assert done.code == 1
    fresh = json.loads(done.out)["checks"][-1]
    assert (fresh["name"], fresh["ok"], fresh["limit"]) == ("fresh", False, 4)
    newer = command("stock-forecast", "check", "--run", stocks.run, "--data", stocks.data, "--json")
    assert json.loads(newer.out)["checks"][-1]["measured"] == fresh["measured"]


@pytest.mark.parametrize("run", APPS, indirect=True)
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json", "data/test.parquet"])
def test_a_changed_byte_is_exit_code_2_with_the_file(run, name, command):
    app, path = run
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    done = command(app, "check", "--run", path)
    assert done.code == 2
    assert name in done.out
    assert "Traceback" not in done.err


@pytest.mark.parametrize("app", APPS)
def test_no_run_at_all_is_exit_code_2(app, tmp_path, command):
    done = command(app, "check", "--run", tmp_path / "none")
    assert done.code == 2
    assert "no such run folder" in done.out


def test_prices_that_cannot_be_read_do_not_make_the_run_broken_by_name(stocks, tmp_path, command):
    none = tmp_path / "none.csv"
    done = command("stock-forecast", "check", "--run", stocks.run, "--data", none, "--json")
    assert done.code == 2
    told = {check["name"]: check["ok"] for check in json.loads(done.out)["checks"]}
    assert told == {"intact": True, "answers": False, "fresh": False}
    assert "none.csv" in done.out


def test_prices_that_are_no_numbers_are_no_forecast(stocks, command, monkeypatch):
    found = {"forecasts": [{"price": float("nan")}]}
    monkeypatch.setattr("apps.stock_forecast.inference.StockForecaster.forecast", lambda *_: found)
    done = command("stock-forecast", "check", "--run", stocks.run)
    assert done.code == 2
    assert "forecasts no finite price" in done.out
