import json

import pytest

from apps.chatbot.feedback import keep_feedback
from core.cli import call
from data.checking import load_dialogues

MESSAGE = "hi, my name is Amy Jones, where is order 402-7781923-1120034? mail amy@example.com"
REPLY = "order 402-7781923-1120034 is on its way"


def test_nothing_personal_is_written_and_numbers_still_match(tmp_path):
    path = tmp_path / "runs" / "feedback.jsonl"
    keep_feedback(path, MESSAGE, REPLY, "up")
    keep_feedback(path, MESSAGE, REPLY, "down", "write to amy@example.com, 402-7781923-1120034")
    text = path.read_text()
    for personal in ("Amy", "amy@", "402-77"):
        assert personal not in text
    liked, corrected = map(json.loads, text.splitlines())
    assert "<order_1>" in liked["turns"][0]["text"]
    assert liked["turns"][1]["text"] == "order <order_1> is on its way"
    assert corrected["turns"][1]["text"] == "write to <email_1>, <order_1>"
    assert corrected["rejected"] == "order <order_1> is on its way"


def test_a_disliked_reply_is_never_learned(tmp_path):
    path = tmp_path / "feedback.jsonl"
    keep_feedback(path, "where is it", "I do not care", "down")
    keep_feedback(path, "where is it", "I do not care", "down", "let me look")
    keep_feedback(path, "thank you", "you are welcome", "up")
    replies = [d.turns[-1].text for d in load_dialogues(str(path))]
    assert replies == ["let me look", "you are welcome"]


def test_ratings_are_appended_and_only_the_owner_reads_them(tmp_path):
    path = tmp_path / "feedback.jsonl"
    for number in range(3):
        keep_feedback(path, f"question {number}", "yes", "up")
    assert len(path.read_text().splitlines()) == 3
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_retrain_reads_the_file_as_it_is(chat, tmp_path):
    from apps.chatbot.retrain import retrain

    path = tmp_path / "feedback.jsonl"
    for number in range(12):
        keep_feedback(path, f"may I pay with card {number} please", f"yes, card {number}", "up")
    words = [f"--data={path}", f"--run={chat.run}", f"--out={tmp_path / 'new'}", "--epochs=1"]
    result = call(retrain, words, "retrain")
    assert (tmp_path / "new" / "manifest.json").exists()
    assert "promoted" in result
