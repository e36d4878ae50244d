import io
import json

import pytest

from apps.chatbot.handover import FallbackConfig
from apps.chatbot.messages import read_messages
from data.dialogues import Turn


def test_a_file_of_messages_is_answered_line_by_line(chat, command, tmp_path):
    path = tmp_path / "messages.txt"
    path.write_text("where is my lamp\n\nthank you\n")
    result = command("chatbot", "reply", "--input", path, "--run", chat.run, "--json")
    assert result.code == 0
    one = command("chatbot", "reply", "thank you", "--run", chat.run, "--json")
    replies = json.loads(result.out)["replies"]
    assert len(replies) == 2
    alone = json.loads(one.out)
    assert {**replies[1], "latency_ms": 0} == {**alone, "latency_ms": 0}


def test_a_jsonl_file_may_hold_conversations(chat, command, tmp_path):
    turns = [
        {"speaker": "user", "text": "where is my lamp"},
        {"speaker": "agent", "text": "on its way"},
        {"speaker": "user", "text": "thank you"},
    ]
    path = tmp_path / "messages.jsonl"
    path.write_text(json.dumps({"turns": turns}) + "\n" + json.dumps({"message": "hi"}) + "\n")
    result = command("chatbot", "reply", "--input", path, "--run", chat.run)
    assert result.code == 0
    assert len(result.out.strip().splitlines()) == 2


@pytest.mark.parametrize("sign", ["\u2028", "\u0085", "\x0b", "\x1c"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_only_a_newline_ends_a_message(tmp_path, sign, end):
    said = [f"where is{sign}my lamp", "thank you"]
    plain, objects = tmp_path / "m.txt", tmp_path / "m.jsonl"
    plain.write_bytes(end.join([*said, ""]).encode())
    assert read_messages(plain) == [[Turn("user", text)] for text in said]
    if sign >= " ":  # JSON itself refuses the others unescaped
        lines = [json.dumps({"message": text}, ensure_ascii=False) for text in said]
        objects.write_bytes(end.join(lines).encode())
        assert read_messages(objects) == [[Turn("user", text)] for text in said]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("m.jsonl", b'{"message": "a"}\n{"message"', "m.jsonl line 2: not JSON"),
        ("m.jsonl", b'{"turns": []}', "m.jsonl line 1: needs 'message'"),
        ("m.txt", b"\n\n", "m.txt: no message in it"),
        ("m.txt", b"\xff\xfe", "m.txt: not UTF-8"),
    ],
)
def test_a_bad_file_is_told_in_one_line(  # noqa: PLR0917
    chat, command, tmp_path, name, content, told
):
    path = tmp_path / name
    path.write_bytes(content)
    result = command("chatbot", "reply", "--input", path, "--run", chat.run)
    assert result.code == 2
    assert told in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["hello", "--input", "x.txt"]])
def test_neither_or_both_is_refused(chat, command, arguments):
    result = command("chatbot", "reply", *arguments, "--run", chat.run)
    assert result.code == 2
    assert "give either a message" in result.err


def test_similar_past_conversations_stand_beside_the_answer_masked(chat, command):
    question = "where is my lamp, order 402-7781923-1120034"
    words = ["--run", chat.run, "--similar", 2, "--json"]
    similar = json.loads(command("chatbot", "reply", question, *words).out)["similar"]
    assert len(similar) == 2
    assert similar[0]["similarity"] >= similar[1]["similarity"] > 0
    assert similar[0]["similarity"] <= 1 + 1e-9
    assert "lamp" in similar[0]["question"]
    assert "<order_1>" in similar[0]["reply"]
    assert similar[0]["reply"] != similar[1]["reply"]


def test_a_negative_number_of_similar_conversations_is_refused(chat, command):
    result = command("chatbot", "reply", "hi", "--run", chat.run, "--similar", -1)
    assert result.code == 2
    assert "similar=-1 must be 0 or more" in result.err


def test_a_missing_file_is_named(chat, command):
    result = command("chatbot", "reply", "--input", "nowhere.txt", "--run", chat.run)
    assert result.code == 2
    assert "nowhere.txt: no such file" in result.err


def test_chat_asks_once_then_hands_over_and_writes_the_transcript(
    chat, command, monkeypatch, tmp_path
):
    monkeypatch.setattr("sys.stdin", io.StringIO("qwpo zmxn\nzmxn a@b.de\nnever read\n"))
    folder = tmp_path / "transcripts"
    result = command("chatbot", "chat", "--run", chat.run, "--transcripts", folder)
    assert result.code == 0
    texts = FallbackConfig()
    assert result.out.splitlines() == [texts.rephrase, texts.handoff]
    (written,) = folder.glob("*.json")
    transcript = json.loads(written.read_text())
    assert [turn["text"] for turn in transcript["turns"]] == [
        "qwpo zmxn",
        texts.rephrase,
        "zmxn a@b.de",
    ]
    assert written.with_suffix(".txt").read_text() == transcript["text"]
