"""The pages, driven as Streamlit runs them."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

APPS = Path(__file__).parents[1] / "apps"


@pytest.fixture
def open_page(monkeypatch, tmp_path):
    def open_it(app: str, run: Path | None = None) -> AppTest:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["page", *([] if run is None else [str(run)])])
        return AppTest.from_file(str(APPS / app / "streamlit_app.py"), default_timeout=60).run()

    return open_it


@pytest.mark.parametrize("app", ["chatbot", "stock_forecast"])
def test_without_a_run_the_page_says_what_to_do(app, open_page):
    page = open_page(app)
    assert not page.exception
    assert "make run" in page.info[0].value


def test_the_chatbot_answers_and_shows_its_confidence(chat, open_page):
    page = open_page("chatbot", chat.run)
    page.chat_input[0].set_value("where is my lamp <b>now</b>").run()
    assert not page.exception
    assert [message.name for message in page.chat_message] == ["user", "assistant"]
    assert page.chat_message[0].text[0].value == "where is my lamp <b>now</b>"
    assert page.chat_message[1].text[0].value
    assert page.metric[0].label == "confidence"
    page.button[-1].click().run()
    assert not page.chat_message


def test_the_forecaster_shows_each_tickers_table(stocks, open_page):
    page = open_page("stock_forecast", stocks.run)
    assert not page.exception
    page.selectbox[0].select("B").run()
    assert not page.exception
    assert list(page.dataframe[0].value["days ahead"]) == [1, 5]


@pytest.mark.parametrize("app", ["chatbot", "stock_forecast"])
def test_a_spoilt_run_is_told_in_words(app, open_page, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text("{}")
    page = open_page(app, run)
    assert not page.exception
    assert "cannot be used" in page.error[0].value


def test_the_lab_trains_while_it_draws_and_says_how_it_ended(open_page):
    page = open_page("gradient_lab")
    assert not page.exception
    length, _, steps = page.sidebar.select_slider
    length.set_value(20)
    steps.set_value(200)
    page.button[0].click().run(timeout=200)
    assert not page.exception
    assert len(page.get("plotly_chart")) == 2
    told = [element.value for element in [*page.success, *page.warning]]
    assert len(told) == 1
    assert "without reading 0.1667" in told[0]


def test_the_lab_offers_a_cell_only_the_starts_that_it_can_have(open_page):
    page = open_page("gradient_lab")
    page.sidebar.selectbox[1].set_value("mingru").run()
    assert not page.exception
    assert page.sidebar.selectbox[2].options == ["default", "forget", "chrono"]
