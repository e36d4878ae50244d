"""`hf:owner/name` through the real `datasets`, against a stand-in for the hub (see conftest.py)."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
# The pauses between retries (1, 2, 4, 8 s) are left out; the library reads its settings once, when
# it is imported, so each address needs a process of its own.
READ = """
import json, sys, time
time.sleep = lambda seconds: None
from data.checking import load_dialogues
from data.columns import ColumnsConfig
for source in sys.argv[1:]:
    try:
        turns = [d.turns for d in load_dialogues(source, ColumnsConfig(question="q", answer="a"))]
        print(json.dumps({"turns": turns}))
    except Exception as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
"""


def read(address, home, *sources):
    """What each source gives in a fresh process, and the files left in its cache."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", READ, *sources],
        env=kept | settings,
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def records(count):
    for number in range(count):
        turns = [("user", f"where is {number}?"), ("agent", "on its way \U0001f600")]
        yield {
            "dialogue_id": str(number),
            "turns": [{"speaker": speaker, "text": text} for speaker, text in turns],
        }


@pytest.fixture(scope="module")
def answers(hub, tmp_path_factory):
    """What comes of several names on one hub, and the folder that the library cached in."""
    address, files = hub
    lines = "".join(json.dumps(record) + "\n" for record in records(30))
    files["me/jsonl"] = {"README.md": b"# chats", "data/train.jsonl": lines.encode()}
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records(30))), table)
    files["me/parquet"] = {"train.parquet": table.getvalue(), "test.parquet": table.getvalue()}
    pairs = io.BytesIO()
    pq.write_table(pa.table({"q": ["hi", "ho"], "a": ["yes", "no"]}), pairs)
    files["me/pairs"] = {"data/train.parquet": pairs.getvalue()}
    files["me/labels"] = {"data/train.jsonl": b'{"label": 1}\n'}
    files["me/nothing"] = {"README.md": b"# no data yet"}
    names = [*files, "me/unknown", ""]
    home = tmp_path_factory.mktemp("hub")
    found = read(address, home, *[f"hf:{name}" for name in names])
    return dict(zip(names, found, strict=True)), home


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_dialogues_of_a_hub_data_set_are_its_train_split(answers, kind):
    found, _ = answers
    expected = [[[t["speaker"], t["text"]] for t in record["turns"]] for record in records(30)]
    assert found[f"me/{kind}"] == {"turns": expected}


def test_pairs_of_a_hub_data_set_take_the_named_columns(answers):
    turns = [[["user", "hi"], ["agent", "yes"]], [["user", "ho"], ["agent", "no"]]]
    assert answers[0]["me/pairs"] == {"turns": turns}


def test_a_hub_data_set_leaves_no_text_on_the_disk(answers):
    _, home = answers
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"where is" in path.read_bytes()]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("me/labels", "hf:me/labels row 1: no column 'q'"),
        ("me/nothing", "hf:me/nothing: cannot be read ("),
        ("me/unknown", "hf:me/unknown: cannot be read ("),
        ("", "hf:: cannot be read ("),
    ],
)
def test_an_unusable_hub_data_set_is_refused_in_one_line(answers, name, problem):
    found = answers[0][name]
    assert found["error"] == "ValueError"
    assert problem in found["message"]
    assert "\n" not in found["message"]


def test_an_unreachable_hub_is_refused_in_one_line(tmp_path):
    with socket.socket() as closed:  # bound and not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        (found,) = read(f"http://127.0.0.1:{closed.getsockname()[1]}", tmp_path, "hf:me/jsonl")
    assert found["error"] == "ValueError"
    assert found["message"].startswith("hf:me/jsonl: cannot be read (")
    assert found["message"].endswith("check the file or name")
    assert "\n" not in found["message"]
