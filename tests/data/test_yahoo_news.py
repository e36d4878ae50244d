"""yfinance itself asks a stand-in for Yahoo on 127.0.0.1."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import yfinance.base
import yfinance.data

import data.yahoo_download
from data.news import load_news
from data.yahoo_news import fetch_news


def story(number, title="Profit rises", date="2024-05-01T12:00:00Z", summary="It does."):
    content = {"title": title, "summary": summary, "pubDate": date}
    return {"id": f"id-{number}", "content": content}


class _Handler(BaseHTTPRequestHandler):
    yahoo: SimpleNamespace

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ticker = body["serviceConfig"]["s"][0]
        self.yahoo.asked.append((ticker, body["serviceConfig"]["snippetCount"]))
        status = self.yahoo.statuses.pop(0) if self.yahoo.statuses else 200
        stream = self.yahoo.stories.get(ticker, [])
        answer = json.dumps({"data": {"tickerStream": {"stream": stream}}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def yahoo(monkeypatch):
    """What it answers by ticker, whom it was asked for, and the next answers' HTTP status."""
    state = SimpleNamespace(stories={}, asked=[], statuses=[])
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"yahoo": state}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(yfinance.base, "_ROOT_URL_", address)
    crumb = ("crumb", "basic")  # Yahoo's login cookie, which is asked elsewhere
    monkeypatch.setattr(yfinance.data.YfData, "_get_cookie_and_crumb", lambda *_, **__: crumb)
    monkeypatch.setattr(data.yahoo_download, "WAITS", (0.0, 0.0))
    yield state
    server.shutdown()
    server.server_close()


def test_news_are_archived_as_they_are_read_again(yahoo, tmp_path):
    yahoo.stories = {"AAPL": [story(1), story(2, "Two\n lines", "2024-05-02T12:00:00Z", "")]}
    archive = tmp_path / "folder" / "news.jsonl"
    (report,) = fetch_news([" aapl"], archive)
    assert (report.received, report.added, report.archived, report.problem) == (2, 2, 2, "")
    news = load_news(archive)
    assert news["text"].tolist() == ["Profit rises It does.", "Two lines"]
    assert news["ticker"].tolist() == ["AAPL", "AAPL"]
    assert str(news["published_at"][0]) == "2024-05-01 12:00:00+00:00"
    assert yahoo.asked == [("AAPL", 100)]


def test_the_archive_grows_without_doubles_and_keeps_the_first_wording(yahoo, tmp_path):
    archive = tmp_path / "news.jsonl"
    archive.write_text(json.dumps({"ticker": "MSFT", "published_at": "2020-01-01", "text": "old"}))
    yahoo.stories = {"AAPL": [story(1), story(1)], "MSFT": [story(1)]}
    fetch_news(["AAPL", "MSFT"], archive)
    before = archive.read_text()
    yahoo.stories["AAPL"] = [story(2), story(1, "Profit falls after all")]
    reports = fetch_news(["AAPL", "MSFT"], archive)
    assert [(r.received, r.added, r.archived) for r in reports] == [(2, 1, 2), (1, 0, 2)]
    assert archive.read_text().startswith(before)
    assert "after all" not in archive.read_text()
    assert len(load_news(archive)) == 4


def test_items_without_a_date_or_a_title_are_left_out_and_counted(yahoo, tmp_path):
    wrong = [story(1, date="soon"), story(2, title=" "), story(3, date=None), story(4, title=5)]
    yahoo.stories = {"AAPL": [*wrong, {"id": "x"}, {"content": None}, story(5)]}
    (report,) = fetch_news(["AAPL"], tmp_path / "news.jsonl")
    assert (report.received, report.unreadable, report.added) == (7, 6, 1)


def test_one_tickers_failure_is_told_and_costs_the_others_nothing(yahoo, tmp_path):
    yahoo.stories = {"A": None, "B": [story(1)]}
    reports = fetch_news(["A", "B"], tmp_path / "news.jsonl")
    assert reports[0].problem
    assert not reports[0].added
    assert (reports[1].problem, reports[1].added) == ("", 1)


def test_a_rate_limit_is_asked_again_and_then_ends_the_asking(yahoo, tmp_path):
    yahoo.stories = {"A": [story(1)], "B": [story(2)]}
    yahoo.statuses = [429, 429]
    reports = fetch_news(["A", "B"], tmp_path / "news.jsonl")
    assert [report.added for report in reports] == [1, 1]
    yahoo.asked.clear()
    yahoo.statuses = [429] * 99
    reports = fetch_news(["A", "B"], tmp_path / "news.jsonl")
    assert {ticker for ticker, _ in yahoo.asked} == {"A"}
    assert all("Too Many Requests" in report.problem for report in reports)
    assert [report.archived for report in reports] == [1, 1]


def test_offline_tells_what_the_archive_has_and_asks_nobody(yahoo, tmp_path):
    archive = tmp_path / "news.jsonl"
    yahoo.stories = {"AAPL": [story(1)]}
    fetch_news(["AAPL"], archive)
    yahoo.asked.clear()
    reports = fetch_news(["AAPL", "MSFT"], archive, offline=True)
    assert [(r.received, r.archived, r.problem) for r in reports] == [(0, 1, ""), (0, 0, "")]
    assert not yahoo.asked


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("news.jsonl", "{broken", "line 1: not JSON"),
        ("news.jsonl", '{"ticker": "A", "text": "x"}', "line 1: needs the texts"),
        ("news.csv", "", "is no .jsonl file"),
    ],
)
def test_a_wrong_archive_is_refused_before_anybody_is_asked(
    yahoo, tmp_path, name, content, problem
):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=problem):
        fetch_news(["AAPL"], tmp_path / name)
    assert not yahoo.asked
    assert (tmp_path / name).read_text() == content
