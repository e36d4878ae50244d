import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from apps.chatbot.datamodule import ChatDataModule, TextConfig
from core.runs import new_run_dir
from data.columns import ColumnsConfig
from data.dialogues import PARTS
from data.splitting import opening_words

SMALL = TextConfig(vocab_size=400, test_share=0.2, validation_share=0.1)
THINGS = ("kettle", "phone", "lamp", "chair", "table", "mirror", "radio", "tent", "drill", "sofa")


def write(path, openings, **more):
    """One dialogue of one pair for each opening."""
    turns = [
        [{"speaker": "user", "text": text}, {"speaker": "agent", "text": f"yes, {text[:9]}"}]
        for text in openings
    ]
    path.write_text("\n".join(json.dumps({"turns": said, **more}) for said in turns))
    return path


def prepared(path, folder, config=SMALL):
    return ChatDataModule.from_source(str(path), ColumnsConfig(), config, folder)


def like_questions():
    """Every third question comes twice: with another number, case, marks and one word more."""
    generator = random.Random(0)
    for number in range(240):
        words = " ".join("".join(generator.choices("aeioulmnrst", k=5)) for _ in range(9))
        yield f"Order A-{12345 + number}: where is my {words}, is it late?"
        if number % 3 == 0:
            yield f"order a-{99999 - number} where is my {words} IS IT very late"


def test_no_opening_question_stands_on_both_sides_of_the_split(tmp_path):
    module = prepared(write(tmp_path / "d.jsonl", like_questions()), tmp_path / "run")
    words = {
        part: [set(opening_words(d.opening)) for d in module.dialogues(part)] for part in PARTS
    }
    assert all(words.values())
    for early, late in (("train", "validation"), ("train", "test"), ("validation", "test")):
        for one in words[early]:
            assert all(len(one & two) < 0.8 * len(one | two) for two in words[late])
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    assert 10 < sum(report["near_duplicates_left_out"].values()) < 80
    kept = sum(part["dialogues"] for part in report["parts"].values())
    assert kept + sum(report["near_duplicates_left_out"].values()) == report["dialogues"] == 320


def test_the_report_counts_what_is_there(tmp_path):
    lines = [*like_questions()]
    path = write(tmp_path / "d.jsonl", [*lines, lines[0], "hola, ¿dónde está mi pedido a@b.co?"])
    with path.open("a") as file:
        file.write('\n{"turns": [{"speaker": "user", "text": "is anybody there?"}]}\n')
    prepared(path, tmp_path / "run")
    report = json.loads((tmp_path / "run" / "data_report.json").read_text())
    assert report["dialogues"] == report["pairs"] == 322
    assert report["exact_duplicates"] == 1
    assert report["entities_masked"] == {"order": 321, "email": 1}
    assert report["languages_guessed"] == {"en": 321, "es": 1}
    assert report["dropped"] == {"dialogues without an agent's answer to a user": 1}
    assert report["message"]["words"]["median"] == 17
    assert report["reply"]["tokens"]["max"] > 1


def test_the_parts_that_the_data_name_lose_near_duplicates_from_training(tmp_path):
    question = "where is the large {} that I ordered from you last week"
    rows = [(question.format("blue lamp"), "test"), (question.format("blue lamps"), "train")]
    rows += [("why do you not answer me when I call you", "train"), ("hello", "validation")]
    texts = [(write(tmp_path / "one.jsonl", [text], split=part)).read_text() for text, part in rows]
    (tmp_path / "one.jsonl").write_text("\n".join(texts))
    module = prepared(tmp_path / "one.jsonl", tmp_path / "run")
    assert [d.opening for d in module.dialogues("train")] == [rows[2][0]]
    assert [d.opening for d in module.dialogues("test")] == [rows[0][0]]


def test_a_corpus_of_near_duplicates_is_refused_and_leaves_nothing(tmp_path):
    path = write(tmp_path / "d.jsonl", [f"where is the parcel that I wait for {w}" for w in THINGS])
    with pytest.raises(ValueError, match="every opening of the .* part is nearly one"):
        prepared(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_preparation_that_is_killed_leaves_nothing_that_looks_finished(tmp_path):
    path = write(tmp_path / "d.jsonl", [f"question {n} of many" for n in range(60_000)])
    run = tmp_path / "run"
    code = (
        "import sys; from apps.chatbot.train import train; from core.cli import call;"
        "call(train, sys.argv[1:], 'train')"
    )
    words = [sys.executable, "-c", code, "--data", str(path), "--run", str(run)]
    process = subprocess.Popen(words, cwd=Path(__file__).parents[3], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (run / "data.partial" / "all.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert sorted(file.name for file in run.iterdir()) == ["data.partial", "started.json"]
    assert new_run_dir("chatbot", "lstm", run) == run  # and may be trained into again
    short = write(tmp_path / "e.jsonl", [f"question about a {thing}" for thing in THINGS])
    prepared(short, run)
    assert sorted(file.name for file in run.iterdir()) == [
        "data",
        "data_report.json",
        "preprocessor",
        "tokens",
    ]
    assert sorted(f.name for f in (run / "data").iterdir()) == sorted(f"{p}.parquet" for p in PARTS)


def test_prepared_data_are_read_again_and_not_made_again(tmp_path):
    path = write(tmp_path / "d.jsonl", [f"question about a {thing}" for thing in THINGS])
    first = prepared(path, tmp_path / "run")
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.parquet")}
    again = prepared(path, tmp_path / "run")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.parquet")} == stamps
    assert again.tokenizer.to_json() == first.tokenizer.to_json()
    for one, two in zip(first.loader("train", 0), again.loader("train", 0), strict=True):
        assert (one.source == two.source).all()
        assert (one.target == two.target).all()


def test_some_pairs_come_from_all_over_a_part(tmp_path):
    path = write(tmp_path / "d.jsonl", [f"{thing} {n}" for n in range(20) for thing in THINGS])
    module = prepared(path, tmp_path / "run")
    few, everything = module.pairs("test", 10), module.pairs("test")
    assert len(few) == 10
    assert [pair.reply for pair in few] == [pair.reply for pair in everything][::4][:10]


def test_some_pairs_of_long_dialogues_are_spread_evenly_over_the_pairs(tmp_path):
    texts = [text for n in range(6) for text in (f"question {n}", f"answer {n}")]
    turns = [{"speaker": ("user", "agent")[n % 2], "text": text} for n, text in enumerate(texts)]
    parts = ["train", "validation", *["test"] * 250]
    lines = [json.dumps({"turns": turns, "split": part}) for part in parts]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    module = prepared(tmp_path / "d.jsonl", tmp_path / "run")
    few, everything = module.pairs("test", 400), module.pairs("test")
    assert len(few) == 400
    rows = [everything.index(pair) for pair in few]
    assert rows[0] == 0
    assert {after - before for before, after in pairwise(rows)} == {3, 4}
    assert rows[-1] >= len(everything) - 4
    assert module.pairs("test", 5000) == everything


def test_another_process_reads_the_tokens_that_the_first_one_made(tmp_path, monkeypatch):
    path = write(tmp_path / "d.jsonl", [f"question about a {thing}" for thing in THINGS])
    first = prepared(path, tmp_path / "run")
    again = prepared(path, tmp_path / "run")
    monkeypatch.setattr("apps.chatbot.datamodule._encoded", None)  # nothing is made again
    for part in ("train", "validation"):
        for one, two in zip(first.loader(part, 0), again.loader(part, 0), strict=True):
            assert all((a == b).all() for a, b in zip(one, two, strict=True))
    again.forget_tokens()
    assert not (tmp_path / "run" / "tokens").exists()
