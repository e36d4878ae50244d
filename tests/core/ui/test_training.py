"""What every page shows of a training, driven as Streamlit runs it."""

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.ui.training import training_words

WORKS = """
import time
from pathlib import Path

def work(run: Path, seconds: float = 0.0, fail: bool = False) -> dict[str, str]:
    '''Make a folder and wait.

    Args:
        run: The folder.
        seconds: How long.
        fail: Whether to fail.
    '''
    run.mkdir(parents=True)
    (run / "half").write_text("x")
    time.sleep(seconds)
    if fail:
        raise ValueError("the <b>file</b> is broken")
    return {"made": str(run)}

def decide(run: Path, promoted: bool = False) -> dict[str, object]:
    '''Decide about a run.

    Args:
        run: The folder.
        promoted: How.
    '''
    return {"promoted": promoted, "reason": "its <b>loss</b> says so"}
"""


def page():
    import sys
    from pathlib import Path

    import streamlit as st

    from core import jobs
    from core.ui.page import show_page
    from core.ui.training import (
        is_training,
        job_folder,
        last_result,
        show_last_decision,
        start_training,
        watch_training,
    )

    def body():
        runs = Path("runs")
        running = watch_training(runs)
        if st.session_state.pop("another visitor starts now", False):
            words = ["--run=runs/theirs", "--seconds=60"]
            jobs.start(job_folder(runs), "work_of_a_test:work", words, "common.run")
            st.text(f"busy {is_training(runs)}")
        st.text(f"running {running}, last {last_result(runs)}")
        for number, words in enumerate((["--seconds=60"], [], ["--fail=true"])):
            if st.button(f"start {number}"):
                start = ["--run=runs/new", *words]
                start_training(runs, "work_of_a_test:work", start, "common.run")
        for word in ("true", "false"):
            if st.button(f"decide {word}"):
                start = ["--run=runs/new", f"--promoted={word}"]
                start_training(runs, "work_of_a_test:decide", start, "common.run")
        show_last_decision(runs)
        if "broken" in sys.argv:
            raise RuntimeError("what nobody foresaw")
        if "refused" in sys.argv:
            raise ValueError("the [file](x) is wrong; mend it")

    show_page("common.run", body)


@pytest.fixture
def opened(tmp_path, monkeypatch):
    (tmp_path / "work_of_a_test.py").write_text(WORKS)
    root = str(Path(jobs.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), root]))
    monkeypatch.chdir(tmp_path)
    yield AppTest.from_function(page, default_timeout=60)
    jobs.cancel(tmp_path / "runs" / ".job")


def press(app, label):
    next(button for button in app.button if button.label == label).click().run()
    assert not app.exception


def ended(app):
    while jobs.is_running(Path("runs") / ".job"):
        pass
    return app.run()


def test_a_training_that_another_visitor_starts_meanwhile_is_shown(opened):
    shown = opened.run()
    shown.session_state["another visitor starts now"] = True
    shown.run()
    assert not shown.exception
    assert [button.label for button in shown.button if button.label == "Cancel"] == ["Cancel"]
    assert not any(text.value.startswith("busy") for text in shown.text)


def test_a_running_training_is_shown_and_a_second_refused(opened):
    opened.run()
    press(opened, "start 0")
    assert opened.text[0].value == "running True, last None"
    assert any(button.label == "Cancel" for button in opened.button)
    press(opened, "start 1")
    assert "already" in opened.warning[0].value
    assert jobs.status(Path("runs") / ".job").words[1] == "--seconds=60"


def test_a_cancelled_training_leaves_no_half_run(opened):
    opened.run()
    press(opened, "start 0")
    while not Path("runs/new/half").exists():
        pass
    press(opened, "Cancel")
    assert not Path("runs/new").exists()
    assert "cancelled" in opened.info[0].value


def test_how_it_ended_is_told_until_it_was_read(opened):
    opened.run()
    press(opened, "start 1")
    ended(opened)
    assert "Done" in opened.success[0].value
    assert opened.text[0].value == "running False, last {'made': 'runs/new'}"
    press(opened, "OK")
    assert not opened.success


def test_a_failed_training_says_why_as_text(opened):
    opened.run()
    press(opened, "start 2")
    ended(opened)
    assert opened.error[0].value.endswith(r"the \<b\>file\</b\> is broken")


def test_an_error_is_told_and_never_shown_as_a_traceback(opened, monkeypatch):
    monkeypatch.setattr("sys.argv", ["page", "broken"])
    opened.run()
    assert not opened.exception
    assert "Something went wrong" in opened.error[0].value
    monkeypatch.setattr("sys.argv", ["page", "refused"])
    opened.run()
    assert opened.error[0].value.replace("\\", "") == "the [file](x) is wrong; mend it"


@pytest.mark.parametrize(("word", "is_not"), [("true", ""), ("false", "not ")])
def test_a_decision_is_told_with_its_reason(opened, word, is_not):
    opened.run()
    press(opened, f"decide {word}")
    ended(opened)
    said = " ".join(info.value for info in opened.info)
    assert f"The last retraining was {is_not}promoted" in said
    assert r"its \<b\>loss\</b\> says so" in said


def test_a_training_of_a_page_draws_no_bar_on_the_terminal():
    words = training_words("mine.csv", Path("runs/new"), "--config=quick.yaml")
    assert words[:2] == ["--data=mine.csv", "--run=runs/new"]
    assert set(words[2:]) == {"--config=quick.yaml", "--trainer.progress=false"}
