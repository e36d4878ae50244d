import dataclasses
import json
import re

import numpy as np
import pytest
import torch

from apps.chatbot.answers import Answers
from apps.chatbot.confidence import (
    Familiarity,
    _answered,
    fit_confidence,
    out_of_domain_pairs,
)
from apps.chatbot.constraints import MAX_PLAIN_DIGITS, ForbiddenTokens
from apps.chatbot.datamodule import ChatDataModule
from apps.chatbot.handover import FallbackConfig
from apps.chatbot.inference import Chatbot
from core.decoding import Hypothesis
from core.runs import load_run
from data.dialogues import Dialogue, Turn, mask_dialogue
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


def test_the_training_part_is_not_read_where_it_has_no_intent_to_hint_at(chat, monkeypatch):
    monkeypatch.setattr("apps.chatbot.answers.read_dialogues", lambda path: pytest.fail("read"))
    assert Answers(chat.run)([Turn("user", "where is my lamp")])["intent_hint"] is None


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
    reply = said(bot, "order a-00123 please", "your phone from order <order_1> is here")
    assert "a-00123" in reply.text


def said(bot, message, masked):
    """The reply that a search makes which found this masked text."""
    dialogue = mask_dialogue(Dialogue("d", (Turn("user", message),)))
    found = [Hypothesis(0, tuple(bot.tokenizer.encode(masked)), -1.0, ())]
    return bot._to_reply(found, bot.tokenizer.encode("x"), dialogue, 1)


@pytest.mark.parametrize(
    ("message", "masked", "text"),
    [
        ("제 이름은 김민수입니다", "<name_1>님 안녕하세요", "김민수님 안녕하세요"),
        ("名前は田中です", "田は <name_1>様", "田は 田中様"),
        ("My name is Will", "Will it come, <name_1>?\x07", "Will it come, Will?"),
        ("where is it", "order <order_1> and 12345678", ""),
    ],
)
def test_a_reply_keeps_its_masked_text_for_reports_unless_it_is_withheld(
    chat, message, masked, text
):
    answers = Answers(chat.run)
    reply = said(answers.bot, message, masked)
    assert reply.text == text
    assert reply.masked == (masked.rstrip("\x07") if text else "")
    assert "masked" not in answers([Turn("user", message)])


def test_a_placeholder_that_the_context_lacks_is_forbidden():
    tokenizer = Tokenizer.train(["an order of five"], 400, placeholders())
    forbidden = ForbiddenTokens(tokenizer)
    known = tokenizer.token_id("<order_1>")
    assert known not in forbidden(frozenset([known]), [])
    assert known in forbidden(frozenset(), [])
    assert tokenizer.token_id("<order_x>") in forbidden(frozenset([known]), [])
    assert tokenizer.token_id("<user>") in forbidden(frozenset(), [])


def test_a_vocabulary_of_before_names_were_masked_still_answers():
    names = [name for name in placeholders() if not name.startswith("<name")]
    tokenizer = Tokenizer.train(["an order of five"], 400, names)
    forbidden = ForbiddenTokens(tokenizer)
    assert tokenizer.token_id("<order_1>") in forbidden(frozenset(), [])


def test_a_blank_of_a_template_is_never_opened():
    texts = ["it arrives on [Date]", "it arrives on Monday"] * 50
    tokenizer = Tokenizer.train(texts, 300, [])
    banned = set(ForbiddenTokens(tokenizer)(frozenset(), []).tolist())
    opening = [token for token in tokenizer.encode(texts[0]) if "[" in tokenizer.decode([token])]
    assert opening
    assert banned.issuperset(opening)
    assert banned.isdisjoint(tokenizer.encode(texts[1]))


def test_digits_of_several_tokens_cannot_add_up_to_a_number():
    tokenizer = Tokenizer.train(["1 2 3 4"], 400, placeholders())
    forbidden = ForbiddenTokens(tokenizer)
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


def test_an_empty_message_is_met_with_a_request(chat, command):
    result = command("chatbot", "reply", "  ", "--run", chat.run, "--json")
    assert result.code == 0
    answer = json.loads(result.out)
    assert answer["text"] == FallbackConfig().rephrase
    assert answer["confidence"] == 0
    assert answer["fallback"] == "rephrase"


@pytest.fixture
def sure(chat):
    """The tiny chatbot with the confidence that it would have, were its replies right."""
    answers = Answers(chat.run, beam_size=1)
    pairs = ChatDataModule.from_run(answers.run).pairs("train")
    familiarity = Familiarity.fit(answers.bot.framed_message(p.context) for p in pairs)
    own, alien = (
        _answered(answers.bot, familiarity, chosen)[1]
        for chosen in (pairs, out_of_domain_pairs(is_kept_back=False))
    )
    answers.bot.confidence = fit_confidence(familiarity, own, np.ones(len(own), bool), alien)
    return answers


def test_a_chatbot_that_was_never_right_hands_everything_over(chat):
    assert Answers(chat.run)([Turn("user", "where is my lamp")], can_ask=False)["handoff"] is True


def test_an_unsure_reply_is_first_asked_about_and_then_handed_over(sure):
    noise = [Turn("user", "qwpoeir zxmcnv")]
    asked = sure(noise)
    assert (asked["text"], asked["handoff"]) == (FallbackConfig().rephrase, False)
    again = sure([*noise, Turn("agent", asked["text"]), Turn("user", "tttt fjfjfj 1@b.de")])
    assert (again["text"], again["handoff"]) == (FallbackConfig().handoff, True)
    assert "user: tttt fjfjfj 1@b.de" in again["transcript"]["text"]
    assert again["transcript"]["turns"][0] == {"speaker": "user", "text": "qwpoeir zxmcnv"}


def test_where_nobody_can_be_asked_unsure_means_handed_over(chat, command):
    result = command("chatbot", "reply", "qwpoeir zxmcnv", "--run", chat.run, "--json")
    answer = json.loads(result.out)
    assert answer["handoff"] is True
    assert answer["text"] == FallbackConfig().handoff
    assert answer["transcript"]["draft"] != answer["text"]


def test_a_stream_ends_with_the_reply_that_its_pieces_spell(sure):
    turns = [Turn("user", "where is my kettle, order 402-7781923-1120034")]
    *pieces, last = sure.stream(turns)
    whole = sure(turns)
    assert last["text"] == whole["text"]
    assert last["confidence"] == pytest.approx(whole["confidence"], abs=1e-6)
    assert last["fallback"] is None
    assert "".join(pieces) == last["text"]
    assert len(pieces) > 2


def test_nothing_is_shown_of_the_answer_to_noise(sure):
    *pieces, last = sure.stream([Turn("user", "qwpoeir zxmcnv")])
    assert pieces == []
    assert last["fallback"] == "rephrase"


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


def test_a_tokenizer_of_another_training_is_refused_by_name(chat):
    run = load_run(chat.run, "chatbot")
    other = Tokenizer.train(["an order of five"], 350, placeholders()).to_json()
    mixed = dataclasses.replace(run, preprocessor={**run.preprocessor, "tokenizer": other})
    with pytest.raises(ValueError, match=r"tokenizer\.json: its \d+ tokens are not those"):
        Chatbot.load(mixed)


def test_white_space_in_a_message_changes_nothing(chat):
    answers = Answers(chat.run)
    one, other = (
        answers([Turn("user", text)])
        for text in ("where is my lamp", "  where\nis my \t  lamp\r\n")
    )
    assert one["source_tokens"] == other["source_tokens"]
    assert one["confidence"] == other["confidence"]


def test_what_is_not_given_is_not_spelled_either(chat):
    answers = Answers(chat.run, beam_size=3)
    answers.bot.confidence = dataclasses.replace(answers.bot.confidence, threshold=1.0)
    for can_ask in (True, False):
        unsure = answers([Turn("user", "where is my lamp")], can_ask)
        assert unsure["fallback"] is not None
        assert unsure["attention"] == unsure["alternatives"] == []
