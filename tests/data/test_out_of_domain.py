from data.out_of_domain import QUESTIONS, out_of_domain_messages


def test_the_halves_share_no_message_and_leave_none_out():
    fitting, kept_back = (out_of_domain_messages(half) for half in (False, True))
    assert not set(fitting) & set(kept_back)
    assert set(QUESTIONS) <= {*fitting, *kept_back}
    assert "what is the capital of France" in kept_back


def test_every_call_gives_the_same_messages():
    assert out_of_domain_messages(True) == out_of_domain_messages(True)


def test_messages_are_words_or_noise_but_never_empty(monkeypatch):
    monkeypatch.setattr("data.out_of_domain.NUM_NOISE", 200)
    found = out_of_domain_messages(False)
    assert len(found) > 200
    assert all(text.strip() == text and text for text in found)
