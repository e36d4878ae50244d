import gzip
import logging

import numpy as np
import pandas as pd
import pytest

from data.price_updates import append_prices
from data.prices import COLUMNS, hash_prices, load_prices

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
GOOD = [
    "2012-01-03,10,11,9,10.5,10.4,1000",
    "2012-01-04,10.5,12,10,11,10.9,2000",
    "2012-01-05,11,11.5,10.8,11.2,11.1,0",
]


def write(path, *lines, header=HEADER):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_file_without_ticker_column_is_one_ticker_named_after_it(tmp_path):
    prices = load_prices(str(write(tmp_path / "AAPL.csv", *GOOD)))
    assert list(prices.columns) == list(COLUMNS)
    assert prices["Ticker"].tolist() == ["AAPL"] * 3
    assert prices["Adj Close"].tolist() == [10.4, 10.9, 11.1]
    assert str(prices["Date"].iloc[0].date()) == "2012-01-03"


def test_volume_zero_is_valid(tmp_path):
    assert load_prices(str(write(tmp_path / "A.csv", *GOOD)))["Volume"].iloc[2] == 0


def test_long_form_gzip_and_folder_agree(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "A.csv", *GOOD)
    write(folder / "B.csv", *GOOD)
    lines = [f"{ticker},{line}" for ticker in "BA" for line in GOOD]
    long = tmp_path / "long.csv.gz"
    long.write_bytes(gzip.compress("\n".join([f"Ticker,{HEADER}", *lines]).encode()))
    pd.testing.assert_frame_equal(load_prices(str(folder)), load_prices(str(long)))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2012-01-06,ten,11,9,10,10,5", "line 5: Open 'ten' is no number"),
        ("2012-01-06,10,11,9,inf,10,5", "line 5: Close 'inf' is no number"),
        ("2012-01-06,10,11,9,0,10,5", "line 5: Close 0 must be above 0"),
        ("2012-01-06,10,2e12,9,10,10,5", "line 5: a price above 1e+12 is none"),
        ("1799-12-31,10,11,9,10,10,5", "line 5: date 1799-12-31 lies before 1800-01-01"),
        (f"2012-01-06,{'9' * 39}xyz,11,9,10,10,5", f"line 5: Open '{'9' * 39}x…' is no number"),
        ("2012-01-06,10,11,-9,10,10,5", "line 5: Low -9 must be above 0"),
        ("2012-01-06,10,11,9,10,10,-5", "line 5: Volume -5 must not be negative"),
        ("2012-01-06,10,9,11,10,10,5", "line 5: High 9 is below Low 11"),
        ("2012-01-06,10,11,9,10,10,lots", "line 5: Volume 'lots' is no number"),
        ("06.01.2012,10,11,9,10,10,5", "line 5: Date '06.01.2012' is no date"),
        ("2012-13-06,10,11,9,10,10,5", "line 5: Date '2012-13-06' is no date"),
        ("2012-01-04,10,11,9,10,10,5", "line 5: date 2012-01-04 of A stands twice"),
        ('2012-01-06,"1,000",11,9,10,10,5', "line 5: Open '1,000' is no number"),
        ("2012-01-06,1,000,11,9,10,10,5", "line 5: not a CSV row"),
    ],
)
def test_a_wrong_row_is_named_with_file_and_line(tmp_path, line, problem):
    path = write(tmp_path / "A.csv", *GOOD, line, "2012-01-09,10,11,9,10,10,5")
    with pytest.raises(ValueError, match="A.csv") as error:
        load_prices(str(path))
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_the_first_of_several_wrong_rows_is_named(tmp_path):
    path = write(tmp_path / "A.csv", GOOD[0], "2012-01-04,1,1,1,x,1,1", "bad,1,1,1,1,1,1")
    with pytest.raises(ValueError, match="line 3: Close 'x'"):
        load_prices(str(path))


@pytest.mark.parametrize("cell", ["", "null", "NaN", " "])
def test_rows_with_empty_cells_are_dropped_and_counted(tmp_path, caplog, cell):
    path = write(tmp_path / "A.csv", GOOD[0], f"2012-01-04,10,11,{cell},10,10,5", GOOD[2])
    with caplog.at_level(logging.WARNING):
        prices = load_prices(str(path))
    assert len(prices) == 2
    assert "dropped 1 rows with empty cells, first line 3" in caplog.text


def test_blank_lines_shift_no_line_number(tmp_path, caplog):
    path = write(tmp_path / "A.csv", GOOD[0], "", "2012-01-04,1,1,1,x,1,1")
    with pytest.raises(ValueError, match="line 4: Close"):
        load_prices(str(path))
    with caplog.at_level(logging.WARNING):
        assert len(load_prices(str(write(tmp_path / "B.csv", *GOOD, "")))) == 3
    assert not caplog.records


def test_unsorted_dates_are_sorted_and_reported(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        prices = load_prices(str(write(tmp_path / "A.csv", *GOOD[::-1])))
    assert prices["Date"].is_monotonic_increasing
    assert "not in order from line 3 on" in caplog.text


def test_unknown_columns_are_ignored_and_names_are_read_in_any_case(tmp_path):
    path = write(
        tmp_path / "A.csv",
        *[f"x,{line}" for line in GOOD],
        header="note,date,open,high,low,close,adj_close,volume",
    )
    assert list(load_prices(str(path)).columns) == list(COLUMNS)


def test_a_ticker_named_na_survives(tmp_path):
    path = write(tmp_path / "x.csv", *[f"NA,{line}" for line in GOOD], header=f"Ticker,{HEADER}")
    assert load_prices(str(path))["Ticker"].unique().tolist() == ["NA"]


def test_missing_adjusted_close_takes_the_close_and_says_so(tmp_path, caplog):
    path = write(
        tmp_path / "A.csv", "2012-01-03,1,2,1,2,5", header="Date,Open,High,Low,Close,Volume"
    )
    with caplog.at_level(logging.WARNING):
        prices = load_prices(str(path))
    assert prices["Adj Close"].tolist() == [2.0]
    assert "no Adj Close" in caplog.text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (f"{HEADER}\n".encode(), "no complete row"),
        (b"Date,Open\n2012-01-03,1\n", "line 1: no column High, Low, Close"),
        (b"\xff\xfe\x00bad\n", "not UTF-8"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, content, problem):
    path = tmp_path / "A.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="A.csv") as error:
        load_prices(str(path))
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_broken_gzip_is_refused(tmp_path):
    path = tmp_path / "A.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEADER, *GOOD]).encode())[:-20])
    with pytest.raises(ValueError, match="gzip"):
        load_prices(str(path))


def test_missing_sources_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.csv does not exist"):
        load_prices(str(tmp_path / "nowhere.csv"))
    with pytest.raises(FileNotFoundError, match="holds no .csv"):
        load_prices(str(tmp_path))


def test_a_date_in_two_files_is_refused(tmp_path):
    lines = [f"A,{line}" for line in GOOD]
    write(tmp_path / "one.csv", *lines, header=f"Ticker,{HEADER}")
    write(tmp_path / "two.csv", lines[1], header=f"Ticker,{HEADER}")
    with pytest.raises(ValueError, match="two.csv line 2: date 2012-01-04 of A stands twice"):
        load_prices(str(tmp_path))


def test_the_sample_is_real_complete_and_cut():
    prices = load_prices("sample")
    rows = prices.groupby("Ticker").size()
    assert rows["FB"] == 196
    assert set(rows.index) == {"AAPL", "FB", "GOOG", "IBM", "MSFT", "NASDAQ", "SP500"}
    assert str(prices["Date"].min().date()) == "2000-03-01"
    assert str(prices["Date"].max().date()) == "2013-03-01"
    assert not prices.isna().any().any()
    # A 2:1 split must not look like a crash.
    apple = prices[prices["Ticker"] == "AAPL"].set_index("Date")["Adj Close"]
    assert abs(np.log(apple["2005-02-28"] / apple["2005-02-25"])) < 0.02


def test_the_hash_follows_the_content():
    prices = load_prices("sample")
    changed = prices.copy()
    changed.loc[5, "Close"] += 0.01
    assert hash_prices(prices) == hash_prices(prices.copy())
    assert hash_prices(prices) != hash_prices(changed)


def test_new_days_are_rescaled_to_the_kept_adjustment():
    prices = load_prices("sample")
    kept = prices[(prices["Ticker"] == "IBM") & (prices["Date"] < "2010-01-01")]
    later = prices[prices["Ticker"].isin(["IBM", "FB"])].copy()
    later["Adj Close"] *= 0.9  # a later dividend
    joined = append_prices(kept, later)
    expected = prices[prices["Ticker"].isin(["IBM"])]["Adj Close"].to_numpy()
    np.testing.assert_allclose(joined[joined["Ticker"] == "IBM"]["Adj Close"], expected, rtol=1e-9)
    assert (joined["Ticker"] == "FB").sum() == 196


def test_a_split_after_the_kept_days_rescales_the_new_ones():
    prices = load_prices("sample")
    ibm = prices[prices["Ticker"] == "IBM"]
    kept = ibm[ibm["Date"] < "2010-01-01"]
    later = ibm.copy()
    later[["Open", "High", "Low", "Close", "Adj Close"]] /= 2  # a later download: all of it halved
    later["Volume"] *= 2
    joined = append_prices(kept, later)
    for column in COLUMNS[2:]:
        np.testing.assert_allclose(joined[column], ibm[column], rtol=1e-9)


def test_a_split_between_kept_and_new_days_is_told_where_no_day_is_shared(caplog):
    prices = load_prices("sample")
    raw = prices.assign(**{"Adj Close": prices["Close"]})
    apple = raw[raw["Ticker"] == "AAPL"]
    kept, new = apple[apple["Date"] < "2005-02-28"], apple[apple["Date"] >= "2005-02-28"]
    assert len(append_prices(kept, new)) == len(apple)
    assert "AAPL 2005-02-28 (2:1): the new rows look split" in caplog.text
    caplog.clear()
    adjusted = prices[prices["Ticker"] == "AAPL"]
    append_prices(adjusted[: len(kept)], adjusted[len(kept) :])
    assert not caplog.records
