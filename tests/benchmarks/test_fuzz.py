"""The readers under broken input: a small share of what `python -m benchmarks.fuzz` feeds them."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import strategies as st

from benchmarks import fuzz
from benchmarks.fuzz import TARGETS, Tally, feed, outcome, write
from benchmarks.fuzz_files import FOLDER, LINK, Target

INPUTS = {"dialogues": 300, "prices": 300, "news": 300, "config": 150, "runs": 250}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_broken_input_is_read_or_refused_in_one_line(name, tmp_path):
    tally = feed(TARGETS[name](), INPUTS[name], tmp_path / name)
    assert tally.failed == {}
    assert tally.inputs == INPUTS[name]
    assert tally.accepted > 0 < tally.refused
    assert list(tmp_path.iterdir()) == []


def tally_of(read, tmp_path, count=3, **options):
    inputs = st.integers(0, 10**6).map(lambda number: {"file": str(number).encode()})
    return feed(Target(inputs, read, **options), count, tmp_path / "kept")


def test_the_inputs_are_always_the_same(tmp_path):
    seen = []
    for _ in range(2):
        tally_of(lambda folder: seen.append((folder / "file").read_bytes()), tmp_path, 20)
    assert seen[:20] == seen[20:]
    assert len(set(seen)) > 15


def test_what_is_no_error_of_one_line_is_kept_to_be_read_again(tmp_path):
    def read(folder):
        raise KeyError("missing")

    tally = tally_of(read, tmp_path)
    assert (tally.accepted, tally.refused, tally.inputs) == (0, 0, 3)
    (what,) = tally.failed
    assert "KeyError at test_fuzz.py" in what
    assert [path.name for path in tmp_path.iterdir()] == ["kept-0"]
    assert (tmp_path / "kept-0" / "file").exists()


def test_an_error_has_to_name_the_file_where_no_option_can_be_meant(tmp_path):
    def read(folder):
        raise ValueError("wrong")

    assert "names no file" in next(iter(tally_of(read, tmp_path).failed))
    assert tally_of(read, tmp_path, names_option=True).refused == 3


def test_a_reader_that_hangs_is_found(tmp_path, monkeypatch):
    def read(folder):
        until = time.process_time() + 60
        while time.process_time() < until:
            pass

    monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.1)
    (tmp_path / "input").mkdir()
    assert "TookTooLongError" in outcome(Target(st.nothing(), read), tmp_path / "input")


def test_folders_and_links_stand_in_the_place_of_files(tmp_path):
    folder = tmp_path / "input"
    write({"a": b"old"}, folder)
    write({"b/c": b"new", "d": FOLDER, "e": f"{LINK}b/c"}, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["b", "d", "e"]
    assert (folder / "e").read_bytes() == b"new"
    assert (folder / "d").is_dir()


def test_the_table_and_the_exit_code_tell_of_a_failure(tmp_path, monkeypatch):
    found = {"news": Tally(accepted=1, refused=2), "prices": Tally()}
    found["prices"].failed["KeyError"] = 4
    monkeypatch.setattr(fuzz, "TARGETS", found)
    monkeypatch.setattr(fuzz, "fed_apart", lambda name, count, keep: found[name])
    monkeypatch.setattr("benchmarks.record.RESULTS", tmp_path / "results")
    monkeypatch.setattr("sys.argv", ["fuzz", "--failures", str(tmp_path / "failures")])
    with pytest.raises(SystemExit) as ended:
        fuzz.main()
    assert ended.value.code == 1
    rows = json.loads(Path(tmp_path / "results" / "fuzz.json").read_text())
    assert [(row["target"], row["inputs"], row["tracebacks"]) for row in rows] == [
        ("news", 3, 0),
        ("prices", 4, 4),
    ]
