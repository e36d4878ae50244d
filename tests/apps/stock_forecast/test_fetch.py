import json

import pandas as pd
import yfinance


def test_fetch_writes_the_long_form_and_reports_each_ticker(monkeypatch, tmp_path, command):
    def download(symbols, **_):
        fields = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
        columns = pd.MultiIndex.from_product([symbols, fields], names=["Ticker", "Price"])
        days = pd.DatetimeIndex(["2020-01-02", "2020-01-03"], name="Date")
        return pd.DataFrame(10.0, days, columns)

    monkeypatch.setattr(yfinance, "download", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "prices.csv"
    words = ["--data", "yahoo:AAPL,MSFT", "--out", out]
    result = command("stock-forecast", "fetch", *words, "--json")
    assert result.code == 0, result.err
    assert [report["rows"] for report in json.loads(result.out)["tickers"]] == [2, 2]
    assert list(pd.read_csv(out)["Ticker"]) == ["AAPL", "AAPL", "MSFT", "MSFT"]

    monkeypatch.delattr(yfinance, "download")  # what is cached needs no Yahoo, whatever the verb
    result = command("stock-forecast", "fetch", "--data", "AAPL,MSFT", "--offline")
    assert result.code == 0, result.err
    assert "AAPL     2 rows, 2020-01-02 to 2020-01-03, cache of " in result.out
    result = command("stock-forecast", "train", "--data", "yahoo:AAPL", "--offline")
    assert result.code == 2
    assert "AAPL has 2" in result.err
    result = command("stock-forecast", "train", "--data", "yahoo:AAPL,XYZ", "--offline")
    assert result.code == 2
    assert "yahoo:XYZ: not in the cache" in result.err


def test_fetch_offline_tells_of_the_news_archive_without_asking(monkeypatch, tmp_path, command):
    def refuse(*_, **__):
        raise AssertionError("asked the network")

    prices = pd.DataFrame(
        10.0,
        pd.DatetimeIndex(["2020-01-02", "2020-01-03"], name="Date"),
        pd.MultiIndex.from_product(
            [["AAPL"], ["Open", "High", "Low", "Close", "Adj Close", "Volume"]]
        ),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(yfinance, "download", lambda *_, **__: prices)
    item = {"title": "Up", "pubDate": "2020-01-02T15:00:00Z"}
    monkeypatch.setattr(yfinance.Ticker, "get_news", lambda *_, **__: [{"content": item}])
    archive = tmp_path / "news.jsonl"
    words = ["--data", "yahoo:AAPL", "--news", archive]
    result = command("stock-forecast", "fetch", *words, "--json")
    assert result.code == 0, result.err
    assert [report["added"] for report in json.loads(result.out)["news"]] == [1]

    monkeypatch.setattr(yfinance, "download", refuse)
    monkeypatch.setattr(yfinance.Ticker, "get_news", refuse)
    result = command("stock-forecast", "fetch", *words, "--offline")
    assert result.code == 0, result.err
    assert "AAPL     news: 0 added, 1 archived" in result.out
    archive.write_text("{broken\n")
    result = command("stock-forecast", "fetch", *words)
    assert result.code == 2
    assert "news.jsonl line 1: not JSON" in result.err
