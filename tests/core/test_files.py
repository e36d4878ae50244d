import os
from pathlib import Path

import pytest

from core.files import file_hash, read_json, replacing, write_json, write_text


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "é")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é".encode()
    write_json(tmp_path / "b.json", {"x": float("nan"), "p": Path("y")})
    assert read_json(tmp_path / "b.json") == {"x": None, "p": "y"}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.txt", "b.json", "new"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")

    def write() -> None:
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        write()
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_the_name_appears_only_when_the_content_is_there(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("x")
        assert not (tmp_path / "a").exists()
        assert temporary.parent == tmp_path  # a rename from another disk would copy
    assert (tmp_path / "a").exists()


@pytest.mark.parametrize("content", ["{", "[" * 100_000, ""])
def test_what_is_no_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json: not JSON"):
        read_json(tmp_path / "a.json")


def test_a_hash_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b")
