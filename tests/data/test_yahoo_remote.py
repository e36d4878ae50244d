"""The real yfinance against a stand-in for Yahoo's chart service on 127.0.0.1."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
import yfinance.base
import yfinance.cache
from yfinance.data import YfData
from yfinance.scrapers import history

import data.yahoo_download
from data.yahoo import fetch_prices

NEW_YORK, SEOUL = "America/New_York", "Asia/Seoul"


class Yahoo(ThreadingHTTPServer):
    """Charts by symbol; `limited` answers 429 so many times before it gives any."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.charts = {}
        self.limited = 0
        self.asked = []

    def add(self, symbol, days, zone=NEW_YORK, **changes):
        opening = pd.DatetimeIndex(days).tz_localize(zone) + pd.Timedelta(hours=9)
        close = 100.0 + np.arange(len(days))
        values = {name: close.tolist() for name in ("open", "high", "low", "close")}
        values |= {"volume": [1000] * len(days)}
        indicators = {"quote": [values], "adjclose": [{"adjclose": (close * 0.9).tolist()}]}
        for name, (place, value) in changes.items():
            values[name][place] = value
        meta = {
            "symbol": symbol,
            "currency": "USD",
            "exchangeTimezoneName": zone,
            "instrumentType": "EQUITY",
            "validRanges": ["1d", "max"],
            "priceHint": 2,
            "dataGranularity": "1d",
            "gmtoffset": 0,
            "timezone": "x",
        }
        stamps = [int(stamp.timestamp()) for stamp in opening]
        self.charts[symbol] = {"meta": meta, "timestamp": stamps, "indicators": indicators}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Keep the test's output clean."""

    def do_GET(self):
        url = urlsplit(self.path)
        symbol = unquote(url.path).rpartition("/")[2]
        if self.server.limited:
            self.server.limited -= 1
            return self.answer(429, b"Too Many Requests")
        self.server.asked.append((symbol, parse_qs(url.query)))
        chart = self.server.charts.get(symbol)
        error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
        body = {"chart": {"result": chart and [chart], "error": None if chart else error}}
        return self.answer(200 if chart else 404, json.dumps(body).encode())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def yahoo(monkeypatch):
    server = Yahoo()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for module in (yfinance.base, history):
        monkeypatch.setattr(module, "_BASE_URL_", address)
    # An unknown ticker is looked up elsewhere too, twice a process: here that is over.
    monkeypatch.setattr(yfinance.base, "_tz_info_fetch_ctr", 2)
    # Cookies come from other hosts, and the charts do without them.
    monkeypatch.setattr(YfData, "_get_cookie_and_crumb", lambda *_, **__: (None, "basic"))
    monkeypatch.setattr(data.yahoo_download, "WAITS", (0.0, 0.0))
    # Within a process answers about past days are kept, and when today is past depends on the hour.
    monkeypatch.setattr(YfData, "cache_get", YfData.get)
    # A process keeps the first file of time zones that it opened: here each test has its own.
    yfinance.cache._TzCacheManager._tz_cache = None
    yfinance.cache._TzDBManager._db = None
    yield server
    server.shutdown()
    server.server_close()


def test_each_ticker_is_reported_with_its_own_days_and_its_own_reason(yahoo, tmp_path):
    days = pd.bdate_range("2020-03-02", periods=30)
    yahoo.add("AAPL", days)
    yahoo.add("MSFT", days.delete(10))
    yahoo.add("005930.KS", days.delete([3, 4]), SEOUL)
    prices, reports = fetch_prices(["AAPL", "MSFT", "005930.KS", "GONE"], tmp_path)
    found = {report.ticker: report for report in reports}
    assert found["AAPL"].problem == ""
    assert {name: report.rows for name, report in found.items()} == {
        "AAPL": 30,
        "MSFT": 29,
        "005930.KS": 28,
        "GONE": 0,
    }
    assert found["MSFT"].gaps == 1
    assert found["005930.KS"].gaps == 0  # Seoul's holidays are no gaps
    assert all(found[name].adjusted for name in ("AAPL", "MSFT"))
    assert "delisted" in found["GONE"].problem
    seoul = prices[prices["Ticker"] == "005930.KS"]
    assert seoul["Date"].tolist() == list(days.delete([3, 4]))  # as Seoul's calendar has them
    np.testing.assert_allclose(prices["Adj Close"], 0.9 * prices["Close"], rtol=1e-6)


def test_the_time_zones_file_is_made_before_the_threads_share_it(yahoo, tmp_path, monkeypatch):
    yahoo.add("AAPL", pd.bdate_range("2020-03-02", periods=5))
    was_ready, download = [], yfinance.download

    def watched(*args, **kwargs):
        was_ready.append(yfinance.cache.get_tz_cache().initialised)
        return download(*args, **kwargs)

    monkeypatch.setattr(yfinance, "download", watched)
    fetch_prices(["AAPL"], tmp_path)
    assert was_ready == [1]
    assert (tmp_path / "time_zones" / "tkr-tz.db").exists()


def test_a_rate_limit_of_the_remote_end_is_waited_for(yahoo, tmp_path):
    yahoo.add("AAPL", pd.bdate_range("2020-03-02", periods=5))
    yahoo.limited = 2  # yfinance asks twice, with and without a cookie, before it gives up
    _, [report] = fetch_prices(["AAPL"], tmp_path)
    assert (report.origin, report.rows, report.problem) == ("yahoo", 5, "")
    assert yahoo.limited == 0


def test_a_lasting_rate_limit_is_named_and_the_cache_stands_in(yahoo, tmp_path):
    yahoo.add("AAPL", pd.bdate_range("2020-03-02", periods=5))
    fetch_prices(["AAPL"], tmp_path)
    yahoo.limited = 1000
    _, [kept, none] = fetch_prices(["AAPL", "MSFT"], tmp_path)
    assert (kept.origin, kept.rows, none.origin) == ("cache", 5, "none")
    assert "Too Many Requests" in kept.problem
    assert "Too Many Requests" in none.problem


def test_a_delisted_ticker_lives_on_in_the_cache(yahoo, tmp_path):
    yahoo.add("GONE", pd.bdate_range("2020-03-02", periods=5))
    fetch_prices(["GONE"], tmp_path)
    del yahoo.charts["GONE"]
    _, [report] = fetch_prices(["GONE"], tmp_path)
    assert (report.origin, report.rows) == ("cache", 5)
    assert "delisted" in report.problem


def test_days_without_a_price_are_left_out_and_without_volume_kept(yahoo, tmp_path):
    days = pd.bdate_range("2020-03-02", periods=5)
    yahoo.add("AAPL", days, close=(1, None), volume=(3, None))
    prices, _ = fetch_prices(["AAPL"], tmp_path)
    assert prices["Date"].tolist() == list(days.delete(1))
    assert prices["Volume"].tolist() == [1000, 1000, 0, 1000]


def test_offline_asks_the_remote_end_nothing(yahoo, tmp_path):
    yahoo.add("AAPL", pd.bdate_range("2020-03-02", periods=5))
    fetch_prices(["AAPL"], tmp_path)
    yahoo.asked.clear()
    _, [report] = fetch_prices(["AAPL"], tmp_path, offline=True)
    assert report.rows == 5
    assert yahoo.asked == []
