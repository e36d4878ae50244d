"""The forecaster's page, driven as Streamlit runs it."""

import json
import os
import re
import shutil
import time
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from apps.stock_forecast.baselines import BASELINES
from core import jobs
from core.ui.texts import all_texts
from core.ui.training import job_folder
from tests.apps.conftest import told
from tests.conftest import write_prices

PAGE = Path(__file__).parents[3] / "apps" / "stock_forecast" / "streamlit_app.py"


@pytest.fixture
def run(stocks, copied):
    return copied("stock_forecast", stocks.run)


def test_the_first_start_offers_to_train_on_the_sample(open_page):
    page = open_page()
    assert "Nothing is trained yet" in page.markdown[0].value
    page.button[0].click().run()
    assert not page.exception
    assert jobs.is_running(job_folder(Path("runs") / "stock_forecast"))
    words = jobs.status(job_folder(Path("runs") / "stock_forecast")).words
    config = next(word for word in words if word.startswith("--config="))
    assert Path(config.removeprefix("--config=")).name == "small.yaml"
    assert Path(config.removeprefix("--config=")).is_file()
    assert [button.label for button in page.button] == ["Cancel"]


def test_each_ticker_has_its_fan_and_its_table(run, open_page):
    page = open_page(run)
    assert not page.exception
    assert len(page.get("plotly_chart")) == 1
    page.selectbox(key="ticker").select("B").run()
    assert not page.exception
    assert list(page.dataframe[0].value["trading days ahead"]) == [1, 5]
    assert all_texts()["stock.meaning"]["en"] in told(page)


def test_a_past_day_is_forecast_without_what_came(run, open_page):
    page = open_page(run)
    page.slider[0].set_value(date(2015, 6, 6)).run()  # a Saturday: Friday's forecast
    assert not page.exception
    assert "trained on prices before" in told(page)
    assert page.dataframe[0].value["date"][0] == "2015-06-08"
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert any("what came" in trace.get("name", "") for trace in figure["data"])


def test_classical_models_are_laid_beside(run, open_page):
    page = open_page(run)
    page.multiselect(key="beside the fan").select("har").run()
    assert not page.exception
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert any("HAR" in trace.get("name", "") for trace in figure["data"])


def test_the_scores_stand_beside_every_baseline(run, open_page):
    page = open_page(run, stock_view="judged")
    assert not page.exception
    assert len(page.dataframe[0].value) == 1 + len(BASELINES)
    assert "No walk forward yet" in told(page)
    assert len(page.get("plotly_chart")) == 2


def test_the_newest_walk_forward_is_shown(stocks, run, open_page):
    from apps.stock_forecast.backtest import backtest
    from core.cli import call
    from tests.conftest import TINY_PRICES

    words = ["--data", str(stocks.data), "--run", str(run.parent / "walk"), "--refit=40"]
    call(backtest, [*words, *TINY_PRICES], "backtest")
    page = open_page(run, stock_view="judged")
    assert not page.exception
    charts = page.get("plotly_chart")
    assert len(charts) == 4
    by_fold = json.loads(charts[2].proto.spec)["data"]
    assert [trace["line"]["width"] for trace in by_fold] == [4] + [1.5] * len(BASELINES)
    assert by_fold[0]["name"] == "this model"
    assert "Diebold-Mariano" in told(page)
    assert page.expander[0].label == "Toy portfolios (an illustration)"


def test_an_upload_is_checked_and_trained_on(run, open_page, tmp_path):
    content = write_prices(tmp_path / "mine.csv", tickers="XY").read_bytes()
    page = open_page(run, stock_view="own_data")
    page.file_uploader[0].set_value([("mine.csv", content, "text/csv")]).run()
    assert not page.exception
    assert list(page.dataframe[0].value["Ticker"]) == ["X", "Y"]
    [upload] = (run.parent / "uploads").glob("*/*.csv")
    next(b for b in page.button if b.label == "Train a new model on it").click().run()
    folder = job_folder(run.parent)
    assert jobs.is_running(folder)
    jobs.cancel(folder)
    assert not upload.exists()


def news_of(prices, tickers):
    """A text a day of the last month about each ticker."""
    days = pd.read_csv(prices)["Date"].unique()[-30:]
    lines = [
        {"ticker": ticker, "published_at": f"{day}T14:00:00Z", "text": f"<b>{ticker}</b> beats"}
        for ticker in tickers
        for day in days
    ]
    return "\n".join(map(json.dumps, lines)).encode()


def test_news_beside_ones_own_prices_are_marked(run, open_page, tmp_path):
    prices = write_prices(tmp_path / "mine.csv", tickers="XY")
    page = open_page(run, price_source="own")
    page.file_uploader[0].set_value([("mine.csv", prices.read_bytes(), "text/csv")]).run()
    page.file_uploader[1].set_value([("n.jsonl", news_of(prices, "X"), "text/plain")]).run()
    assert not page.exception
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    [marks] = [trace for trace in figure["data"] if trace.get("name") == "news"]
    assert len(marks["text"]) == 30
    assert "1 texts<br>&lt;b&gt;X" in marks["text"][0]


def test_a_run_that_learned_from_news_asks_for_them(stocks, copied, open_page, tmp_path):
    from apps.stock_forecast.train import train
    from core.cli import call
    from tests.conftest import TINY_PRICES

    news = tmp_path / "news.jsonl"
    news.write_bytes(news_of(stocks.data, "AB"))
    run = tmp_path / "runs" / "stock_forecast" / "told"
    words = [f"--data={stocks.data}", f"--news={news}", f"--run={run}", *TINY_PRICES]
    call(train, words, "train")
    page = open_page(run, price_source="own")
    prices = write_prices(tmp_path / "mine.csv", tickers="XY")
    page.file_uploader[0].set_value([("mine.csv", prices.read_bytes(), "text/csv")]).run()
    assert not page.exception
    assert "Upload the news beside the prices" in told(page)
    page.file_uploader[1].set_value([("n.jsonl", news_of(prices, "X"), "text/plain")]).run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == 1

    page = open_page(run, stock_view="own_data")
    page.file_uploader[0].set_value([("mine.csv", prices.read_bytes(), "text/csv")]).run()
    assert "Upload the news beside the prices" in told(page)
    page.file_uploader[1].set_value([("n.jsonl", news_of(prices, "X"), "text/plain")]).run()
    assert list(page.dataframe[0].value["texts"]) == [30, 0]
    next(b for b in page.button if b.label == "Go on training this run with it").click().run()
    assert not page.exception
    folder = job_folder(run.parent)
    given = dict(word.split("=", 1) for word in jobs.status(folder).words)
    jobs.cancel(folder)
    for option in ("--data", "--news"):
        assert (run.parent / "uploads") in Path(given[option]).parents
        assert not Path(given[option]).parent.exists()


def test_a_file_without_tickers_is_one_of_its_name(run, open_page, tmp_path):
    lines = write_prices(tmp_path / "mine.csv", tickers="X").read_text().splitlines()
    bare = "\n".join(line.partition(",")[2] for line in lines).encode()
    assert lines[0].startswith("Ticker,")
    page = open_page(run, price_source="own")
    page.file_uploader[0].set_value([("../BRK-B.csv", bare, "text/csv")]).run()
    assert not page.exception
    assert page.selectbox(key="ticker").value == "BRK-B"


def test_wrong_news_give_a_message(run, open_page, tmp_path):
    prices = write_prices(tmp_path / "mine.csv", tickers="X")
    page = open_page(run, price_source="own")
    page.file_uploader[0].set_value([("mine.csv", prices.read_bytes(), "text/csv")]).run()
    page.file_uploader[1].set_value([("n.jsonl", b'{"ticker": 1}', "text/plain")]).run()
    assert not page.exception
    assert "your news file line 1" in told(page)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\x01", b"Date,Close\n", b"Date,Open\n2020-01-01,x\n"]
)
def test_a_corrupt_upload_gives_a_message(content, run, open_page):
    page = open_page(run, stock_view="own_data")
    page.file_uploader[0].set_value([("mine.csv", content, "text/csv")]).run()
    assert not page.exception
    assert "your file" in told(page)
    assert not any(button.label == "Train a new model on it" for button in page.button)


@pytest.mark.parametrize("view", ["ahead", "own_data"])
def test_dates_that_no_price_has_give_a_message(view, run, open_page, tmp_path):
    lines = write_prices(tmp_path / "mine.csv", tickers="X").read_text().splitlines()
    lines[3] = lines[3].replace("20", "15", 1)
    page = open_page(run, price_source="own", stock_view=view)
    page.file_uploader[0].set_value([("m.csv", "\n".join(lines).encode(), "text/csv")]).run()
    assert not page.exception
    assert "lies before 1800-01-01" in told(page)


def test_what_is_noticed_in_a_file_is_told(run, open_page, tmp_path):
    prices = write_prices(tmp_path / "mine.csv", tickers="X")
    lines = prices.read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:3], "", "", "", "", ""])
    news = news_of(prices, "XQ")
    page = open_page(run, stock_view="own_data")
    page.file_uploader[1].set_value([("n.jsonl", news, "text/plain")]).run()
    assert "upload the prices too" in told(page)
    for _ in range(2):  # the second time from the cache
        page.file_uploader[0].set_value([("m.csv", "\n".join(lines).encode(), "text/csv")]).run()
        assert "your file: dropped 1 rows with empty cells, first line 4" in told(page)
        assert "Q" in told(page)


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"folds": []}'])
def test_a_backtest_that_cannot_be_read_is_passed_over(content, run, open_page):
    broken = run.parent / "walk" / "backtest.json"
    broken.parent.mkdir()
    broken.write_text(content)
    page = open_page(run, stock_view="judged")
    assert not page.exception
    assert "The back-test walk cannot be read" in told(page)
    assert "No walk forward yet" in told(page)


def test_a_short_upload_is_not_forecast(run, open_page, tmp_path):
    content = write_prices(tmp_path / "short.csv", tickers="Z", days=25).read_bytes()
    lines = content.decode().splitlines(keepends=True)[:15]
    page = open_page(run, price_source="own")
    page.file_uploader[0].set_value([("short.csv", "".join(lines).encode(), "text/csv")]).run()
    assert not page.exception
    assert "a forecast needs 20" in told(page)


def test_nothing_downloaded_before_is_said(run, open_page):
    page = open_page(run, price_source="cached")
    assert not page.exception
    assert "Nothing was downloaded yet" in told(page)


def test_a_symbol_that_is_none_gives_a_message(run, open_page):
    page = open_page(run, price_source="yahoo")
    page.text_input[0].set_value("no/symbol")
    page.button[0].click().run()
    assert not page.exception
    assert "no ticker symbol" in told(page)


def test_a_run_deleted_while_open_gives_a_message(run, open_page):
    page = open_page(run)
    shutil.rmtree(run)
    page.run()
    assert not page.exception
    assert "gone" in told(page)


def test_what_a_visitor_left_behind_is_gone_when_the_page_is_opened_a_day_later(run, open_page):
    left = run.parent / "uploads" / "left"
    left.mkdir(parents=True)
    os.utime(left, (time.time() - 90_000,) * 2)
    open_page(run)
    assert not left.exists()


def test_a_spoilt_run_gives_a_message(open_page, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text("{}")
    page = open_page(run)
    assert not page.exception
    assert "run format None" in told(page)
    assert str(tmp_path) not in told(page)


@pytest.mark.parametrize("view", ["ahead", "judged"])
def test_plots_speak_korean_too(view, stocks, run, open_page):
    if view == "judged":
        from apps.stock_forecast.backtest import backtest
        from core.cli import call
        from tests.conftest import TINY_PRICES

        words = ["--data", str(stocks.data), "--run", str(run.parent / "walk"), "--refit=40"]
        call(backtest, [*words, *TINY_PRICES], "backtest")
    page = open_page(run, language_switch="ko", stock_view=view)
    if view == "ahead":
        page.slider[0].set_value(date(2015, 6, 5)).run()
        page.multiselect(key="beside the fan").select("har").run()
    charts = page.get("plotly_chart")
    assert len(charts) == (1 if view == "ahead" else 4)
    names = {"EWMA", "ETS", "GARCH(1,1)-t"}  # are the same in every language
    for chart in charts:
        figure = json.loads(chart.proto.spec)
        layout = figure["layout"]
        said = [layout[part]["title"]["text"] for part in ("xaxis", "yaxis")]
        said += [layout["title"]["text"], *(trace["name"] for trace in figure["data"])]
        said = {text for text in said if text not in names}
        assert {text for text in said if not re.search("[가-힣]", text)} == set()


def test_korean_is_spoken_where_it_was_chosen(run, open_page):
    page = open_page(run, language_switch="ko")
    assert page.title[0].value == all_texts()["stock.title"]["ko"]
    assert all_texts()["stock.meaning"]["ko"] in told(page)
