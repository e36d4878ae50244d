import json
import re

import pytest
import torch

from apps.chatbot.inference import MAX_PLAIN_DIGITS, Answers, _ForbiddenTokens
from data.dialogues import Turn
from data.entities import PLACEHOLDER, placeholders
from data.text import Tokenizer

KEYS = {
    "text",
    "confidence",
    "handoff",
    "intent_hint",
    "latency_ms",
    "source_tokens",
    "attention",
}


def test_reply_prints_one_json_object_with_every_key(chat, command):
    question = "where is my order 402-7781923-1120034?"
    result = command("chatbot", "reply", question, "--run", chat.run, "--json")
    answer = json.loads(result.out)
    assert answer.keys() >= KEYS
    assert 0 <= answer["confidence"] <= 1
    assert answer["intent_hint"] is None
    for item in answer["attention"]:
        assert len(item["weights"]) == len(answer["source_tokens"])
        assert sum(item["weights"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_even_random_weights_invent_no_number_and_show_no_placeholder(chat, seed):
    answers = Answers(chat.run)
    torch.manual_seed(seed)
    for parameter in answers.bot.model.parameters():
        parameter.data.normal_(std=0.5)
    given = "402-7781923-1120034"
    text = answers([Turn("user", f"where is my order {given}?")])["text"]
    assert not PLACEHOLDER.search(text)
    for word in text.replace(given, " ").split():
        assert len(re.findall(r"\d", word)) <= MAX_PLAIN_DIGITS
    assert text.strip()


def test_a_number_is_given_back_as_the_user_wrote_it(chat):
    answers = Answers(chat.run)
    bot = answers.bot
    ids = bot.tokenizer.encode("your phone from order <order_1> is here")
    from core.decoding import Hypothesis
    from data.dialogues import Dialogue, mask_dialogues

    dialogue = mask_dialogues([Dialogue("d", (Turn("user", "order a-00123 please"),))])[0]
    found = [Hypothesis(0, tuple(ids), -1.0, ())]
    reply = bot._to_reply(found, bot.tokenizer.encode("x"), dialogue.values)
    assert "a-00123" in reply.text


def test_a_placeholder_that_the_context_lacks_is_forbidden():
    tokenizer = Tokenizer.train(["an order of five"], 400, placeholders())
    forbidden = _ForbiddenTokens(tokenizer)
    known = tokenizer.token_id("<order_1>")
    assert known not in forbidden(frozenset([known]), [])
    assert known in forbidden(frozenset(), [])
    assert tokenizer.token_id("<order_x>") in forbidden(frozenset([known]), [])
    assert tokenizer.token_id("<user>") in forbidden(frozenset(), [])


def test_a_vocabulary_of_before_names_were_masked_still_answers():
    names = [name for name in placeholders() if not name.startswith("<name")]
    tokenizer = Tokenizer.train(["an order of five"], 400, names)
    forbidden = _ForbiddenTokens(tokenizer)
    assert tokenizer.token_id("<order_1>") in forbidden(frozenset(), [])


def test_digits_of_several_tokens_cannot_add_up_to_a_number():
    tokenizer = Tokenizer.train(["1 2 3 4"], 400, placeholders())
    forbidden = _ForbiddenTokens(tokenizer)
    digits = tokenizer.encode("1234")
    assert tokenizer.encode("5")[0] in forbidden(frozenset(), digits)
    assert tokenizer.encode("5")[0] not in forbidden(frozenset(), digits[:2])
    after_space = [*digits, *tokenizer.encode(" a")]
    assert tokenizer.encode("5")[0] not in forbidden(frozenset(), after_space)


@pytest.mark.parametrize(
    "message",
    ["한국어로 물어봐도 되나요", "🙂🙂🙂", "asdf ;;; qwer", "word " * 10_000, "<order_1> <user>"],
)
def test_odd_messages_get_an_answer_in_words(chat, command, message):
    result = command("chatbot", "reply", message, "--run", chat.run)
    assert result.code == 0
    assert result.out.strip()
    assert not PLACEHOLDER.search(result.out)


def test_an_empty_message_is_refused_in_one_line(chat, command):
    result = command("chatbot", "reply", "  ", "--run", chat.run)
    assert result.code == 2
    assert "no message to answer" in result.err
    assert result.err.count("\n") == 1


def test_the_nearest_dialogues_intent_is_hinted(tmp_path, command):
    from tests.conftest import TINY_CHAT

    lines = [
        {
            "dialogue_id": str(number),
            "intent": intent,
            "turns": [{"speaker": "user", "text": text}, {"speaker": "agent", "text": "yes"}],
        }
        for number, (intent, text) in enumerate(
            [("hours", "when are you open"), ("refund", "I want my money back")] * 10
        )
    ]
    data = tmp_path / "d.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)))
    words = ["--data", data, "--run", tmp_path / "run", *TINY_CHAT]
    assert command("chatbot", "train", *words).code == 0
    result = command("chatbot", "reply", "my money please", "--run", tmp_path / "run", "--json")
    assert json.loads(result.out)["intent_hint"] == "refund"


def test_chat_talks_until_an_empty_line(chat, command, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("where is my lamp\nthank you\n\n"))
    result = command("chatbot", "chat", "--run", chat.run)
    assert result.code == 0
    assert len(result.out.strip().splitlines()) == 2
