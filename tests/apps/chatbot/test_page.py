"""The chatbot's page, driven as Streamlit runs it."""

import json
import shutil
import time
from pathlib import Path

import pytest

from core import jobs
from core.ui.texts import all_texts
from core.ui.training import job_folder
from data.dialogues import Turn
from tests.apps.conftest import told
from tests.conftest import hand_nothing_over

PAGE = Path(__file__).parents[3] / "apps" / "chatbot" / "streamlit_app.py"
MESSAGE = "where is my lamp <b>now</b>, order 402-7781923-1120034"


@pytest.fixture
def run(chat, copied):
    return copied("chatbot", chat.run)


def test_the_first_start_offers_to_train_on_the_sample(open_page, tmp_path):
    page = open_page()
    assert not page.exception
    assert "Nothing is trained yet" in page.markdown[0].value
    page.button[0].click().run()
    assert not page.exception
    assert jobs.is_running(job_folder(Path("runs") / "chatbot"))
    words = jobs.status(job_folder(Path("runs") / "chatbot")).words
    config = next(word for word in words if word.startswith("--config="))
    assert Path(config.removeprefix("--config=")).name == "quick.yaml"
    assert Path(config.removeprefix("--config=")).is_file()
    assert [button.label for button in page.button] == ["Cancel"]  # and no second training
    page.button[0].click().run()
    assert not jobs.is_running(job_folder(Path("runs") / "chatbot"))
    assert "cancelled" in told(page)
    assert not list((tmp_path / "runs" / "chatbot").glob("*lstm"))


def test_it_answers_and_shows_how_sure_it_is(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value(MESSAGE).run()
    assert not page.exception
    assert [message.name for message in page.chat_message] == ["user", "assistant"]
    assert page.chat_message[0].text[0].value == MESSAGE
    assert page.chat_message[1].text[0].value
    assert "% sure" in told(page)


def test_a_thumb_is_kept_masked(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value(MESSAGE).run()
    page.feedback[0].set_value(0).run()
    [correction] = page.text_input
    correction.set_value("it is on its way, 402-7781923-1120034").run()
    assert not page.exception
    lines = (run.parent / "feedback.jsonl").read_text().splitlines()
    assert [json.loads(line)["rating"] for line in lines] == ["down", "down"]
    assert page.text_input[0].disabled
    assert "402-77" not in "".join(lines)
    assert json.loads(lines[1])["turns"][1]["text"] == "it is on its way, <order_1>"


def test_a_thumb_is_final(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value(MESSAGE).run()
    page.feedback[0].set_value(1).run()
    assert page.feedback[0].disabled
    assert not page.text_input
    [line] = (run.parent / "feedback.jsonl").read_text().splitlines()
    assert json.loads(line)["rating"] == "up"


def test_ratings_that_cannot_be_kept_are_told_and_can_be_given_again(run, open_page):
    kept = run.parent / "feedback.jsonl"
    kept.mkdir()
    page = open_page(run)
    page.chat_input[0].set_value(MESSAGE).run()
    page.feedback[0].set_value(1).run()
    assert not page.exception
    assert "The server cannot use feedback.jsonl: Is a directory" in told(page)
    assert not page.feedback[0].disabled
    kept.rmdir()
    page.feedback[0].set_value(0).run()
    assert json.loads(kept.read_text())["rating"] == "down"


def test_ratings_that_cannot_be_read_are_no_fault_of_an_upload(run, open_page):
    (run.parent / "feedback.jsonl").write_text("what\n")
    page = open_page(run, chatbot_view="own_data")
    assert "the ratings kept by this page" in told(page)
    assert "your file" not in told(page)


def test_an_older_reply_keeps_what_is_behind_it_until_asked(run, open_page):
    hand_nothing_over(run)
    page = open_page(run)
    page.chat_input[0].set_value("where is my lamp").run()
    assert "More" not in [button.label for button in page.button]
    page.chat_input[0].set_value("where is my chair").run()
    assert len(page.feedback) == 1
    older = page.chat_message[1]
    assert [button.label for button in older.button] == ["More"]
    older.button[0].click().run()
    assert "% sure" in page.chat_message[1].caption[0].value
    assert len(page.feedback) == 2


def test_what_a_reply_looked_at_is_shown_in_a_window(run, open_page):
    hand_nothing_over(run)
    page = open_page(run)
    page.chat_input[0].set_value("where is my lamp").run()
    assert not page.get("plotly_chart")
    next(button for button in page.button if button.label == "What it looked at").click().run()
    assert not page.exception
    [chart] = page.get("plotly_chart")
    [heat_map] = json.loads(chart.proto.spec)["data"]
    assert [word.split()[1] for word in heat_map["x"]][1:] == ["where", "is", "my", "lamp"]
    assert "Similar past conversations" in told(page)


def test_an_older_reply_that_was_handed_over_says_so_still(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value("qzx vvk wjj").run()
    said = page.chat_message[1].warning[0].value
    page.chat_input[0].set_value("where is my chair").run()
    assert page.chat_message[1].warning[0].value == said


def test_an_example_is_asked_with_one_click(run, open_page):
    page = open_page(run)
    example = next(button for button in page.main.button if "laptop" in button.label)
    example.click().run()
    assert page.chat_message[0].text[0].value == example.label
    assert page.chat_message[1].text[0].value
    assert not [button for button in page.main.button if "laptop" in button.label]


def test_conversations_stand_apart(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value("where is my lamp").run()
    new = next(button for button in page.sidebar.button if button.label == "New conversation")
    new.click().run()
    assert not page.chat_message
    page.chat_input[0].set_value("where is my chair").run()
    page.run()
    assert list(page.sidebar.radio[0].options) == [
        "where is my lamp",
        "where is my chair",
    ]
    page.sidebar.radio[0].set_value(0).run()
    assert page.chat_message[0].text[0].value == "where is my lamp"


def test_a_very_long_message_is_shown_and_answered(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value("x" * 10_000).run()
    assert not page.exception
    assert len(page.chat_message[0].text[0].value) == 10_000
    assert page.chat_message[1].text[0].value


def test_a_run_deleted_while_open_gives_a_message(run, open_page):
    page = open_page(run)
    shutil.rmtree(run)
    page.run()
    assert not page.exception
    assert "gone" in told(page) or "no such run" in told(page)


def test_another_run_in_place_of_a_deleted_one_is_told(chat, run, open_page):
    other = run.parent / "other"
    shutil.copytree(run, other)
    page = open_page()
    chosen = page.selectbox(key="run").value
    shutil.rmtree(chosen)
    page.run()
    assert not page.exception
    assert f"The run {chosen.name} that was chosen is gone" in told(page)
    assert page.selectbox(key="run").value == (other if chosen.name == "mine" else run).resolve()


def test_a_reply_goes_on_after_the_language_was_switched_in_the_middle(run, open_page):
    page = open_page(run)
    page.chat_input[0].set_value("where is my lamp").run()
    [conversation] = page.session_state["conversations"]
    conversation.turns.append(
        Turn("user", "where is my chair")
    )  # as a script that was ended left it
    page.run()
    assert [message.name for message in page.chat_message] == ["user", "assistant"] * 2


def test_a_spoilt_run_gives_a_message(open_page, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "manifest.json").write_text("{}")
    page = open_page(run)
    assert not page.exception
    assert "run format None" in page.error[0].value.replace("\\", "")
    assert str(tmp_path) not in told(page)


def test_a_view_that_is_clicked_away_leaves_the_first(run, open_page):
    page = open_page(run, chatbot_view=None)
    assert not page.exception
    assert not page.error
    assert page.chat_input


def test_side_by_side_without_a_vanilla_rnn_offers_to_train_one(run, open_page):
    page = open_page(run, chatbot_view="side_by_side")
    assert not page.exception
    assert [header.value for header in page.subheader][:2] == ["Rules", "Vanilla RNN"]
    assert "No vanilla RNN" in told(page)
    assert any(button.label == "Train it" for button in page.button)


def test_side_by_side_asks_the_vanilla_rnn_of_the_same_data(chat, run, open_page):
    from apps.chatbot.pages.side_by_side import VANILLA
    from apps.chatbot.train import train
    from core.cli import call
    from tests.conftest import TINY_CHAT

    other = run.parent / "vanilla"
    call(train, ["--data", str(chat.data), "--run", str(other), *TINY_CHAT, *VANILLA], "train")
    page = open_page(run, chatbot_view="side_by_side")
    page.text_input[0].set_value("where is my lamp, order 402-7781923-1120034").run()
    assert not page.exception
    assert not page.error
    assert len(page.text) == 3
    assert not any(button.label == "Train it" for button in page.button)
    answers = [text.value for text in page.text]

    page = open_page(other, chatbot_view="side_by_side")  # the vanilla RNN itself is chosen
    page.text_input[0].set_value("where is my lamp, order 402-7781923-1120034").run()
    assert [text.value for text in page.text] == answers
    assert [header.value for header in page.subheader][2].startswith("LSTM")

    shutil.rmtree(run)
    page.run()
    assert "No other network was trained" in told(page)


def test_side_by_side_asks_the_chosen_run_where_another_one_saw_the_same_data(chat, run, open_page):
    from apps.chatbot.train import train
    from core.cli import call
    from tests.conftest import TINY_CHAT

    gru = run.parent / "gru"
    words = ["--data", str(chat.data), "--run", str(gru), *TINY_CHAT, "--model.cell=gru"]
    call(train, words, "train")
    for chosen, cell in ((run, "LSTM"), (gru, "GRU")):
        page = open_page(chosen, chatbot_view="side_by_side")
        assert [header.value for header in page.subheader][2].startswith(cell)


def test_an_upload_is_reported_and_trained_on(chat, run, open_page):
    page = open_page(run, chatbot_view="own_data")
    page.file_uploader[0].set_value([("mine.jsonl", chat.data.read_bytes(), "text/plain")]).run()
    assert not page.exception
    assert "dialogues" in page.code[0].value
    [upload] = (run.parent / "uploads").glob("*/*.jsonl")
    next(b for b in page.button if b.label == "Train a new model on it").click().run()
    assert not page.exception
    folder = job_folder(run.parent)
    assert jobs.is_running(folder)
    jobs.cancel(folder)
    assert not upload.exists()
    deadline = time.monotonic() + 5
    while jobs.is_running(folder) and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\x01", b'{"turns": 3}\n', b'{"dialogue_id": "1", "turns": []}\n']
)
def test_a_corrupt_upload_gives_a_message(content, run, open_page):
    page = open_page(run, chatbot_view="own_data")
    page.file_uploader[0].set_value([("mine.jsonl", content, "text/plain")]).run()
    assert not page.exception
    assert "your file" in told(page)
    assert not any(button.label == "Train a new model on it" for button in page.button)


def test_columns_that_are_not_recognised_are_named_in_the_boxes(run, open_page):
    page = open_page(run, chatbot_view="own_data")
    content = b"a,b\nwhere is my lamp,it is on its way\n"
    page.file_uploader[0].set_value([("mine.csv", content, "text/csv")]).run()
    assert "Names of the columns" in told(page)
    for box, name in zip(page.text_input, "ab", strict=True):
        box.set_value(name)
    page.run()
    assert not page.error
    assert "dialogues" in page.code[0].value


def test_korean_is_spoken_where_it_was_chosen(run, open_page):
    page = open_page(run)
    page.session_state["language switch"] = "ko"
    page.run()
    assert page.title[0].value == all_texts()["chatbot.title"]["ko"]
    assert any(button.label == "새 대화" for button in page.sidebar.button)
