import logging

import pytest

from apps.chatbot.baselines import (
    WITHOUT_TRAINING,
    Bm25Retrieval,
    TfidfRetrieval,
    replies_without_training,
)
from data.dialogues import Dialogue, Pair, Turn, mask_dialogues

QUESTIONS = {
    "where is my lamp": "on its way",
    "my password does not work": "reset it",
    "do you ship to norway": "we do",
}


def pair(question, reply):
    dialogue = Dialogue(question, (Turn("user", question), Turn("agent", reply)))
    return Pair(mask_dialogues([dialogue])[0], 1)


TRAINING = [pair(question, reply) for question, reply in QUESTIONS.items()]
RETRIEVALS = pytest.mark.parametrize("kind", [TfidfRetrieval, Bm25Retrieval])


@RETRIEVALS
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_known_question_gets_its_own_reply_whatever_the_case(kind, question):
    found = kind(TRAINING, 5).reply_all([pair(f"Hello! {question.upper()}?", "")])
    assert found == [QUESTIONS[question]]


@RETRIEVALS
def test_only_the_last_turns_are_compared(kind):
    turns = [Turn("user", "do you ship to norway"), Turn("agent", "we do")]
    turns.append(Turn("user", "where is my lamp"))
    assert kind(TRAINING, 1).nearest([turns])[0].reply == "on its way"


@RETRIEVALS
def test_the_users_own_number_is_put_back_and_the_trainings_is_dropped(kind):
    training = [pair("where is order A-1234567", "order A-1234567 is on its way"), *TRAINING]
    asked = pair("where is order B-7654321", "")
    assert kind(training, 5).reply_all([asked]) == ["order B-7654321 is on its way"]
    assert kind(training, 5).reply_all([pair("where is order", "")]) == ["order is on its way"]


@pytest.mark.parametrize("message", ["zzz qqq", "", "!?", "\U0001f4a5"])
def test_bm25_answers_what_has_no_known_word(message):
    found = Bm25Retrieval(TRAINING, 5).nearest([[Turn("user", message)]])
    assert found[0] in TRAINING


def test_bm25_learns_from_messages_without_a_word():
    training = [pair("\U0001f4a5", "oh"), pair("!?", "well")]
    assert Bm25Retrieval(training, 5).reply_all([pair("lamp", "")])[0] in ("oh", "well")


@RETRIEVALS
def test_each_character_of_a_language_without_spaces_is_a_word(kind):
    things = [chr(0x4E00 + 7 * number) + chr(0x6200 + 5 * number) for number in range(60)]
    training = [pair(f"我的{thing}在哪里", f"{thing}在路上") for thing in [*things, *things]]
    asked = pair(f"请问{things[37]}到了吗", "")
    assert kind(training, 5).reply_all([asked]) == [f"{things[37]}在路上"]


def test_tfidf_learns_from_many_messages_that_share_no_word():
    words = [f"{first}{second}" for first in "abcdefgh" for second in "ijklmnop"]
    training = [pair(word, f"yes, {word}") for word in words]
    assert TfidfRetrieval(training, 5).reply_all([pair("dk", "")]) == ["yes, dk"]


@pytest.mark.parametrize("count", [1, 60])
def test_tfidf_answers_the_first_reply_where_no_message_has_a_word(count):
    training = [pair("\U0001f4a5" * (number + 1), f"oh {number}") for number in range(count)]
    retrieval = TfidfRetrieval(training, 5)
    assert retrieval.reply_all([pair("lamp", ""), pair("\U0001f4a5", "")]) == ["oh 0"] * 2
    assert retrieval.similar([Turn("user", "lamp")], 3) == []


def test_bm25_is_silent_on_standard_output_and_in_the_log(capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        Bm25Retrieval(TRAINING, 5).nearest([[Turn("user", "")], [Turn("user", "lamp")]])
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_bm25_prefers_rare_words_and_short_contexts():
    training = [
        pair("lamp please please please please", "long"),
        pair("lamp please", "short"),
        pair("please kettle", "kettle"),
    ]
    found = Bm25Retrieval(training, 5).reply_all([pair("lamp", ""), pair("please kettle lamp", "")])
    assert found == ["short", "kettle"]


@pytest.mark.parametrize("name", WITHOUT_TRAINING)
def test_every_baseline_answers_every_pair(name):
    found = replies_without_training(name, TRAINING, TRAINING * 2, 5)
    assert len(found) == 6
    assert all(found)


def test_an_unknown_baseline_is_named():
    with pytest.raises(ValueError, match="'tf' is no baseline; choose one of rules"):
        replies_without_training("tf", TRAINING, TRAINING, 5)
