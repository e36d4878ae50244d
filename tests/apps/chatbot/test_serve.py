import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from apps.chatbot.answers import Answers
from apps.chatbot.serve import MOST_BYTES, make_server, serve

PORT = 18522
URL = f"http://127.0.0.1:{PORT}"


@contextmanager
def serving(answers: Answers, port: int) -> Iterator[str]:
    """The real server in a thread of its own."""
    config = uvicorn.Config(make_server(answers), port=port, log_level="warning")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def server(chat):
    with serving(Answers(chat.run), PORT) as url:
        yield url


def post(body: object, url: str = URL) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/reply", data)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_names_the_run(server, chat):
    with urllib.request.urlopen(f"{server}/health") as answer:
        assert json.load(answer) == {"status": "ok", "run": chat.run.name}


def test_a_message_gets_the_keys_of_the_reply_command(server):
    status, text = post({"message": "where is my lamp, order 402-7781923-1120034"})
    assert status == 200
    assert json.loads(text).keys() >= {"text", "confidence", "handoff", "attention", "latency_ms"}


def test_a_conversation_that_was_asked_about_is_handed_over(server):
    asked = json.loads(post({"message": "qwpo zmxn"})[1])
    turns = [("user", "qwpo zmxn"), ("agent", asked["text"]), ("user", "zmxn qwpo")]
    said = [{"speaker": speaker, "text": text} for speaker, text in turns]
    answer = json.loads(post({"turns": said})[1])
    assert answer["handoff"] is True
    assert "user: zmxn qwpo" in answer["transcript"]["text"]


def test_a_stream_ends_with_the_whole_reply(server):
    status, text = post({"message": "where is my lamp", "stream": True})
    assert status == 200
    events = [event.split("\n") for event in text.strip().split("\n\n")]
    names = [lines[0] for lines in events]
    assert names[-1] == "event: reply"
    assert set(names[:-1]) <= {"event: token"}
    assert json.loads(events[-1][1].removeprefix("data: "))["text"]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 400, "not JSON"),
        ([1], 400, "give an object"),
        ({}, 400, "needs 'message'"),
        ({"message": 3}, 400, "needs 'message'"),
        ({"turns": [{"speaker": "boss", "text": "x"}]}, 400, "turn 1"),
        ({"turns": [{"speaker": "agent", "text": "x"}]}, 400, "last turn must be the user's"),
        ({"message": "a\ud800b"}, 400, "half a character"),
        ({"message": "x" * MOST_BYTES}, 413, "over 1000000 bytes"),
    ],
)
def test_a_bad_request_is_told_in_one_line(server, body, status, told):
    code, text = post(body)
    assert code == status
    assert told in json.loads(text)["error"]


def test_an_empty_message_and_a_long_one_are_answered(server):
    for message in ("", "  ", "word " * 10_000, "🙂🙂"):
        status, text = post({"message": message})
        assert status == 200
        assert json.loads(text)["text"]


def test_a_taken_port_is_told(server, chat):
    with pytest.raises(ValueError, match=f"port={PORT} is taken"):
        serve(chat.run, port=PORT)


def test_streams_wait_for_each_other(chat, monkeypatch):
    answers = Answers(chat.run)
    stream, running, seen = answers.stream, [], []

    def slow(turns: list) -> Iterator:
        running.append(1)
        for piece in stream(turns):
            seen.append(len(running))
            time.sleep(0.05)
            yield piece
        running.pop()

    monkeypatch.setattr(answers, "stream", slow)
    body = {"message": "where is my lamp", "stream": True}
    with serving(answers, PORT + 1) as url:
        threads = [threading.Thread(target=post, args=(body, url)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen) >= 3
    assert set(seen) == {1}
