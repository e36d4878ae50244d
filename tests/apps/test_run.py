"""`make run` at a tiny size: the same code, other options."""

import pytest

import apps.run
from core.cli import guarded
from tests.conftest import TINY_CHAT, TINY_PRICES, write_dialogues, write_prices


def test_run_compares_answers_forecasts_and_reports(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    chat = ["--data", str(write_dialogues(tmp_path / "d.jsonl")), *TINY_CHAT]
    prices = ["--data", str(write_prices(tmp_path / "p.csv")), *TINY_PRICES, "--contexts=20"]
    real = apps.run.options

    def tiny(app, folder, candidates, *more):
        return [*real(app, folder, candidates, *more), *(chat if app == "chatbot" else prices)]

    monkeypatch.setattr(apps.run, "options", tiny)
    monkeypatch.setattr(apps.run, "TICKER", "A")
    with pytest.raises(SystemExit) as ended:
        guarded("make run", apps.run.main)
    assert ended.value.code == 0
    out = capfd.readouterr().out
    for name in (*apps.run.CHAT_CANDIDATES, *apps.run.STOCK_CANDIDATES):
        assert f"\n{name} " in out
    assert "chrf / tfidf" in out
    for question in apps.run.QUESTIONS:
        assert f"customer: {question}\nchatbot:  " in out
    assert "median price" in out
    page = (tmp_path / "runs" / "report.html").read_text()
    assert page.count("Plotly.newPlot(") == 7
    for title in ("Loss while training", "Gradient norm before clipping", "the range of prices"):
        assert title in page
    assert page.count("Gradient by lag after training") == 2
    assert out.count("gradient norm at a lag over that at lag 1") == 2
    for app in ("chatbot", "stock_forecast"):
        assert (tmp_path / "runs" / app / "champion" / "manifest.json").exists()
