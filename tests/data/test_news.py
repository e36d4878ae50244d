import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from data.news import load_news, news_by_day
from data.prices import load_prices

SHARED = Path(__file__).parents[3] / "shared" / "data" / "stocknet"


def prices(*days, ticker="A"):
    frame = pd.DataFrame({"Ticker": ticker, "Date": pd.DatetimeIndex(days)})
    return frame.assign(**dict.fromkeys(["Open", "High", "Low", "Close", "Adj Close"], 1.0))


def write(path, *items):
    text = "\n".join(i if isinstance(i, str) else json.dumps(i) for i in items)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def item(time, ticker="A", text="news"):
    return {"ticker": ticker, "published_at": time, "text": text, "unknown": 1}


@pytest.mark.parametrize(
    ("time", "counts"),
    [
        ("2014-01-07T20:59:00Z", [0, 1, 0]),  # 15:59 in New York, winter
        ("2014-01-07T21:00:00Z", [0, 1, 0]),  # the close itself
        ("2014-01-07T21:00:01Z", [0, 0, 1]),  # after it: the next trading day
        ("2014-01-08T02:00:00Z", [0, 0, 1]),  # still the 7th in New York
        ("2014-01-06T01:00:00Z", [1, 0, 0]),
        ("2014-01-10T22:00:00Z", [0, 0, 0]),  # after the last close: nobody knew
        ("2013-12-01T12:00:00Z", [0, 0, 0]),  # long before the first day
        ("2014-01-07T22:00:00+02:00", [0, 1, 0]),
        ("2014-01-07T12:00:00", [0, 1, 0]),  # without a zone: UTC
    ],
)
def test_a_text_counts_for_the_first_close_not_before_it(tmp_path, time, counts):
    news = load_news(write(tmp_path / "news.jsonl", item(time)))
    table = prices("2014-01-06", "2014-01-07", "2014-01-10")
    assert news_by_day(news, table)["News"].tolist() == counts


def test_summer_time_moves_the_close(tmp_path):
    news = load_news(
        write(tmp_path / "n.jsonl.gz", item("2014-07-07T20:00:00Z"), item("2014-07-07T20:30:00Z"))
    )
    assert news_by_day(news, prices("2014-07-07", "2014-07-08"))["News"].tolist() == [1, 1]


def test_a_weekend_counts_on_monday(tmp_path):
    news = load_news(write(tmp_path / "n.jsonl", item("2014-01-11T12:00:00Z")))
    assert news_by_day(news, prices("2014-01-10", "2014-01-13"))["News"].tolist() == [0, 1]


def test_tickers_do_not_mix_and_strangers_are_ignored(tmp_path):
    news = load_news(
        write(
            tmp_path / "n.jsonl",
            item("2014-01-07T15:00:00Z", "B"),
            item("2014-01-07T15:00:00Z", "Z"),
        )
    )
    table = pd.concat([prices("2014-01-07"), prices("2014-01-07", ticker="B")], ignore_index=True)
    assert news_by_day(news, table)["News"].tolist() == [0, 1]


def test_the_days_texts_stand_together_by_time_one_a_line(tmp_path):
    late, early = item("2014-01-07T15:00:00Z", text="two\nlines"), item("2014-01-06T22:00:00Z")
    news = load_news(write(tmp_path / "n.jsonl", late, early))
    days = news_by_day(news, prices("2014-01-06", "2014-01-07"))
    assert days["Texts"].tolist() == ["", "news\ntwo lines"]


def test_half_a_surrogate_pair_is_no_obstacle(tmp_path):
    news = load_news(write(tmp_path / "n.jsonl", item("2014-01-07T15:00:00Z", text="up \ud83d")))
    days = news_by_day(news, prices("2014-01-07"))
    days.to_parquet(tmp_path / "days.parquet")
    assert days["Texts"].tolist() == ["up ?"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{broken", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("9" * 5000, "line 2: not JSON"),
        ('["a"]', "line 2: needs the texts"),
        ('{"ticker": "A", "text": "x"}', "line 2: needs the texts"),
        ('{"ticker": "A", "published_at": null, "text": "x"}', "line 2: needs the texts"),
        ('{"ticker": "A", "published_at": "soon", "text": "x"}', "line 2: published_at 'soon'"),
        (
            '{"ticker": "A", "published_at": "0001-01-01T00:00:00+14:00", "text": "x"}',
            "line 2: published_at '0001",
        ),
        ('{"ticker": 5, "published_at": "2014-01-07", "text": "x"}', "line 2: needs the texts"),
        ('{"ticker": "A", "published_at": "2014-01-07", "text": ["x"]}', "line 2: needs the texts"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, problem):
    path = write(tmp_path / "n.jsonl", item("2014-01-07T15:00:00Z"), line)
    with pytest.raises(ValueError, match="n.jsonl") as error:
        load_news(path)
    assert problem in str(error.value)


@pytest.mark.parametrize("place", [12, 40, -6])
def test_a_spoilt_gzip_file_is_named(tmp_path, place):
    items = [item(f"2014-01-07T15:00:{second:02}Z", text=f"{second}") for second in range(60)]
    path = write(tmp_path / "n.jsonl.gz", *items)
    content = bytearray(path.read_bytes())
    content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"n.jsonl.gz is not whole UTF-8 text or gzip"):
        load_news(path)


def test_empty_and_missing_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is empty"):
        load_news(write(tmp_path / "n.jsonl", ""))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_news(tmp_path / "none.jsonl")


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data/stocknet")
def test_the_stocknet_news_fall_on_trading_days():
    table = load_prices(str(SHARED / "prices.csv.gz"))
    news = load_news(SHARED / "news.jsonl.gz")
    assert 0.99 < news_by_day(news, table)["News"].sum() / len(news) <= 1
