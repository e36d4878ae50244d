import json

import numpy as np

from apps.chatbot.confidence import (
    OUT_OF_DOMAIN_REFUSED,
    SIGNALS,
    Confidence,
    Familiarity,
    fit_confidence,
    framed,
    out_of_domain_pairs,
    reply_signals,
    says_the_same,
)
from data.text import Tokenizer

TRAINING = [
    "where is my kettle",
    "where is my lamp please",
    "I want to return the kettle",
    "I want to return my lamp",
] * 3


def learned() -> tuple[Tokenizer, Familiarity]:
    tokenizer = Tokenizer.train(TRAINING, 400)
    return tokenizer, Familiarity.fit(map(tokenizer.encode, TRAINING))


def test_known_text_is_more_familiar_than_known_words_in_another_order():
    tokenizer, familiarity = learned()
    known = familiarity.shares(tokenizer.encode("where is my lamp"))
    mixed = familiarity.shares(tokenizer.encode("lamp my where is"))
    noise = familiarity.shares(tokenizer.encode("zqx vvkj"))
    assert known[0] > mixed[0] > noise[0]
    assert known[1] > mixed[1]
    assert all(0 < share < 1 for share in (*known, *mixed, *noise))


def test_what_one_message_alone_said_is_not_known():
    tokenizer = Tokenizer.train(["good morning to you"], 300)
    once = Familiarity.fit([tokenizer.encode("good morning to you")])
    assert once.known == frozenset()


def test_a_message_of_one_token_is_neither_known_nor_unknown():
    assert learned()[1].shares([300]) == (0.5, 0.5)


def test_a_message_knows_its_place_in_the_conversation():
    opening, thanks = [5, 6, 7], [8]
    familiarity = Familiarity.fit([framed(opening, True)] * 2 + [framed(thanks, False)] * 2)
    assert familiarity.shares(framed(thanks, False)) > familiarity.shares(framed(thanks, True))
    assert familiarity.shares(framed(opening, True)) > familiarity.shares(framed(opening, False))
    assert familiarity.shares(framed(opening, True)) > familiarity.shares(framed([5, 6], True))


def made_up(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signals of own and of alien messages, and whether the own replies were right."""
    generator = np.random.default_rng(seed)
    own = generator.normal([-0.4, 0.8, 0.7, 2.5], 0.15, (count, 4))
    is_right = generator.random(count) < 1 / (1 + np.exp(-20 * (own[:, 0] + 0.5)))
    alien = generator.normal([-0.8, 0.3, 0.1, 2.5], 0.15, (count // 4, 4))
    return own, is_right, alien


def test_the_threshold_keeps_alien_messages_out_and_lets_the_own_in():
    own, is_right, alien = made_up(400, 0)
    fitted = fit_confidence(Familiarity([]), own, is_right, alien)
    fresh_own, _, fresh_alien = made_up(400, 1)
    refused = (fitted.calibrator.probability(fresh_alien) <= fitted.threshold).mean()
    given = (fitted.calibrator.probability(fresh_own) > fitted.threshold).mean()
    assert refused > OUT_OF_DOMAIN_REFUSED - 0.05
    assert given > 0.8


def test_a_likelier_reply_is_surer():
    own, is_right, alien = made_up(400, 0)
    fitted = fit_confidence(Familiarity([]), own, is_right, alien)
    assert fitted.of(-2.0, 10, [5, 6, 7]) > fitted.of(-9.0, 10, [5, 6, 7])


def test_it_survives_json():
    own, is_right, alien = made_up(100, 0)
    tokenizer, familiarity = learned()
    fitted = fit_confidence(familiarity, own, is_right, alien)
    again = Confidence.from_plain(json.loads(json.dumps(fitted.to_plain())))
    message = tokenizer.encode("where is my lamp")
    assert again.of(-3.0, 8, message) == fitted.of(-3.0, 8, message)
    assert again.threshold == fitted.threshold


def test_there_is_a_number_for_every_signal():
    assert len(reply_signals(Familiarity([]), -3.0, 5, [1, 2])) == len(SIGNALS)


def test_the_same_words_say_the_same_and_another_reply_does_not():
    references = ["we ship within 5 days", "please restart the router", "your refund is paid"] * 4
    found = says_the_same([*references[:-1], "please restart the router"], references)
    assert found.tolist() == [True] * 11 + [False]


def test_a_single_reply_can_be_judged():
    assert says_the_same(["yes of course"], ["yes of course"]).tolist() == [True]
    assert says_the_same(["zzz"], ["yes of course"]).tolist() == [False]


def test_out_of_domain_messages_come_masked():
    assert all(pair.context[-1].text for pair in out_of_domain_pairs(is_kept_back=True))
