"""The lab's page, driven as Streamlit runs it."""

import time
from pathlib import Path

from core import jobs
from tests.apps.conftest import told

PAGE = Path(__file__).parents[3] / "apps" / "gradient_lab" / "streamlit_app.py"


def job():
    return Path("runs") / "gradient_lab" / ".job"


def press(page, label):
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def wait(page, seconds=120):
    deadline = time.monotonic() + seconds
    while jobs.is_running(job()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return page.run()


def test_the_story_goes_forth_and_back(open_page):
    page = open_page()
    assert not page.exception
    headings = [page.subheader[0].value]
    for _ in range(4):
        press(page, "Next")
        headings.append(page.subheader[0].value)
    assert [heading[:6] for heading in headings] == [f"{step} of 5" for step in range(1, 6)]
    assert next(button for button in page.button if button.label == "Next").disabled
    press(page, "Back")
    assert page.subheader[0].value == headings[3]


def test_an_experiment_is_trained_in_the_background_and_drawn(open_page):
    page = open_page(lab_view="own")
    page.select_slider[0].set_value(20)
    page.select_slider[2].set_value(200).run()
    press(page, "Train it")
    assert jobs.is_running(job())
    assert next(button for button in page.button if button.label == "Train it").disabled
    wait(page)
    assert not page.exception
    assert "without reading 0.1667" in told(page)
    assert len(page.get("plotly_chart")) == 4


def test_a_training_can_be_cancelled(open_page):
    page = open_page(lab_view="own")
    press(page, "Train it")
    press(page, "Cancel")
    assert not jobs.is_running(job())
    assert not next(button for button in page.button if button.label == "Train it").disabled


def test_a_second_visitor_is_asked_to_wait_and_sees_how_long(open_page):
    first, second = open_page(lab_view="own"), open_page(lab_view="own")
    press(first, "Train it")
    second.run()
    assert next(button for button in second.button if button.label == "Train it").disabled
    assert "this page did not start" in told(second)
    assert not second.get("plotly_chart")
    assert "this page did not start" not in told(first.run())


def test_a_training_of_before_a_reload_can_be_cancelled(open_page):
    press(open_page(lab_view="own"), "Train it")
    for view in ("story", "own"):
        again = open_page(lab_view=view)
        assert next(button for button in again.button if button.label == "Train it").disabled
    press(again, "Cancel")
    assert not jobs.is_running(job())


def test_a_cell_is_offered_only_the_starts_that_it_can_have(open_page):
    page = open_page(lab_view="own")
    page.selectbox(key="cell").set_value("mingru").run()
    assert not page.exception
    assert page.selectbox(key="start of mingru").options == ["default", "forget", "chrono"]


def test_korean_is_spoken_where_it_was_chosen(open_page):
    page = open_page(language_switch="ko")
    assert page.title[0].value == "기울기 실험실"
    assert page.subheader[0].value == "1/5: 기본 RNN은 실패한다"
