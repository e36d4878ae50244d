import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest
from torch import nn

from core.champions import (
    champion,
    current,
    go_back,
    history,
    lineage,
    promote,
    promote_first,
)
from core.runs import load_run, save_run

APP = "chatbot"


def write_run(path: Path) -> Path:
    save_run(
        path,
        app=APP,
        config={"data": "sample"},
        model=nn.Linear(2, 2),
        preprocessor={},
        metrics={},
        source_hash="ab" * 32,
    )
    return path


def three(folder: Path) -> None:
    """Runs a, b and c, champions one after the other."""
    promote_first(write_run(folder / "a"), APP)
    for name, before in (("b", "a"), ("c", "b")):
        assert promote(write_run(folder / name), APP, "better", {"old": {"chrf": 1}}, before)


def test_promoting_points_a_link_in_the_parent_and_keeps_a_history(tmp_path: Path) -> None:
    three(tmp_path)
    assert os.readlink(tmp_path / "champion") == "c"
    assert load_run(tmp_path / "champion", APP).path == (tmp_path / "c").resolve()
    told = [(e["run"], e["replaced"], e["reason"]) for e in history(tmp_path)]
    assert told == [("a", None, "the first run here"), ("b", "a", "better"), ("c", "b", "better")]
    assert {e["source_sha256"] for e in history(tmp_path)} == {"ab" * 32}
    assert history(tmp_path)[-1]["scores"] == {"old": {"chrf": 1}}
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["a", "b", "c", "champion", "history.jsonl"]


def test_the_first_leaves_a_champion_but_replaces_a_dangling_link(tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    assert promote_first(first, APP)
    assert not promote_first(second, APP)
    assert current(tmp_path) == "a"
    assert len(history(tmp_path)) == 1
    first.rename(tmp_path / "moved")
    assert promote_first(second, APP)
    assert current(tmp_path) == "b"


def test_the_moved_parent_keeps_its_champion(tmp_path: Path) -> None:
    promote_first(write_run(tmp_path / "here" / "a"), APP)
    (tmp_path / "here").rename(tmp_path / "there")
    load_run(tmp_path / "there" / "champion", APP)


def test_without_a_run_the_champion_is_read() -> None:
    assert champion("chatbot", None) == Path("runs/chatbot/champion")
    assert champion("chatbot", Path("x")) == Path("x")


def test_a_run_that_was_compared_with_another_champion_is_not_promoted(tmp_path: Path) -> None:
    three(tmp_path)
    late = write_run(tmp_path / "late")
    assert not promote(late, APP, "better than b", {}, over="b")
    assert current(tmp_path) == "c"
    assert len(history(tmp_path)) == 3


def test_promoting_again_after_a_crash_adds_no_second_line(tmp_path: Path) -> None:
    three(tmp_path)
    (tmp_path / "champion").unlink()  # as if killed between the line and the link
    (tmp_path / "champion").symlink_to("b")
    assert promote(tmp_path / "c", APP, "better", {}, over="b")
    assert current(tmp_path) == "c"
    assert len(history(tmp_path)) == 3


def test_what_is_not_whole_is_not_promoted(tmp_path: Path) -> None:
    three(tmp_path)
    spoilt = write_run(tmp_path / "spoilt")
    (spoilt / "card.md").write_text("x")
    with pytest.raises(ValueError, match=r"card\.md: changed"):
        promote(spoilt, APP, "better", {}, over="c")
    assert current(tmp_path) == "c"


def test_going_back_by_one_and_again_reaches_the_first(tmp_path: Path) -> None:
    three(tmp_path)
    link = tmp_path / "champion"
    assert go_back(link, APP) == {"champion": str(tmp_path / "b"), "replaced": "c"}
    assert go_back(link, APP)["champion"] == str(tmp_path / "a")
    assert lineage(tmp_path) == ["a"]
    with pytest.raises(ValueError, match="names no earlier champion that is there and whole"):
        go_back(link, APP)
    told = [(e["run"], e["replaced"], e["reason"]) for e in history(tmp_path)][3:]
    assert told == [("b", "c", "rollback"), ("a", "b", "rollback")]


def test_going_back_to_any_earlier_champion(tmp_path: Path) -> None:
    three(tmp_path)
    assert go_back(tmp_path / "a", APP)["champion"] == str(tmp_path / "a")
    assert go_back(tmp_path / "c", APP)["champion"] == str(tmp_path / "c")  # and forward again
    with pytest.raises(ValueError, match="champion already"):
        go_back(tmp_path / "c", APP)
    write_run(tmp_path / "other")
    with pytest.raises(ValueError, match="never was champion; earlier champions: "):
        go_back(tmp_path / "other", APP)


def test_a_run_that_is_gone_or_spoilt_is_not_gone_back_to(tmp_path: Path) -> None:
    three(tmp_path)
    (tmp_path / "b").rename(tmp_path / "elsewhere")
    assert go_back(tmp_path / "champion", APP)["champion"] == str(tmp_path / "a")
    go_back(tmp_path / "c", APP)
    (tmp_path / "a" / "config.yaml").write_text("x")
    with pytest.raises(ValueError, match=r"config\.yaml: changed"):
        go_back(tmp_path / "a", APP)
    assert current(tmp_path) == "c"
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="no champion here"):
        go_back(tmp_path / "none" / "champion", APP)


def test_a_spoilt_champion_is_passed_over_with_a_word(tmp_path: Path, caplog) -> None:
    three(tmp_path)
    (tmp_path / "b" / "config.yaml").write_text("x")
    assert go_back(tmp_path / "champion", APP)["champion"] == str(tmp_path / "a")
    assert "passed over" in caplog.text
    assert "config.yaml: changed" in caplog.text


def test_a_copy_in_the_links_place_is_told_before_anything_is_written(tmp_path: Path) -> None:
    three(tmp_path)
    (tmp_path / "champion").unlink()
    shutil.copytree(tmp_path / "c", tmp_path / "champion")
    for act in (lambda: go_back(tmp_path / "a", APP), lambda: current(tmp_path)):
        with pytest.raises(ValueError, match="is a copy and not a link"):
            act()
    assert len(history(tmp_path)) == 3
    assert not list(tmp_path.glob(".champion*"))


def test_a_dangling_champion_is_told_with_the_way_back(tmp_path: Path) -> None:
    three(tmp_path)
    shutil.rmtree(tmp_path / "c")
    with pytest.raises(FileNotFoundError, match="points to c, which is gone; `rollback --run"):
        load_run(tmp_path / "champion", APP)
    assert go_back(tmp_path / "champion", APP)["champion"] == str(tmp_path / "b")


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", "", None, 7])
def test_a_history_cannot_name_what_lies_outside(tmp_path: Path, name: object) -> None:
    three(tmp_path)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write(json.dumps({"run": name}) + "\n")
    with pytest.raises(ValueError, match="line 4 names no run of this folder"):
        go_back(tmp_path / "champion", APP)
    assert current(tmp_path) == "c"


def test_a_line_that_was_cut_off_is_mended_by_the_next(tmp_path: Path) -> None:
    three(tmp_path)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"run": "d", "rep')
    assert [e["run"] for e in history(tmp_path)] == ["a", "b", "c"]
    go_back(tmp_path / "champion", APP)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["a", "b", "c", "b"]


def test_a_broken_line_in_the_middle_is_told(tmp_path: Path) -> None:
    three(tmp_path)
    path = tmp_path / "history.jsonl"
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(ValueError, match="line 1 is not JSON"):
        history(tmp_path)


def challenge(folder: str, name: str) -> None:
    run = write_run(Path(folder) / name)
    os._exit(0 if promote(run, APP, "better", {}, over="c") else 1)


def test_of_two_that_beat_the_same_champion_one_is_promoted(tmp_path: Path) -> None:
    three(tmp_path)
    start = multiprocessing.get_context("fork")
    both = [start.Process(target=challenge, args=(str(tmp_path), name)) for name in "xyz"]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(one.exitcode for one in both) == [0, 1, 1]
    assert len(history(tmp_path)) == 4
    assert history(tmp_path)[-1]["run"] == current(tmp_path)
