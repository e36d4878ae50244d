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
    out = tmp_path / "prices.csv"
    words = ["--data", "yahoo:AAPL,MSFT", "--out", out, "--cache_dir", tmp_path / "cache"]
    result = command("stock-forecast", "fetch", *words, "--json")
    assert result.code == 0, result.err
    assert [report["rows"] for report in json.loads(result.out)["tickers"]] == [2, 2]
    assert list(pd.read_csv(out)["Ticker"]) == ["AAPL", "AAPL", "MSFT", "MSFT"]
