"""A file or folder is replaced as a whole, or stays as it was."""

from pathlib import Path

import pytest

from unina.data.whole import check_place, new_file, new_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        write_whole(tmp_path / "a.txt", content)
        assert (tmp_path / "a.txt").read_bytes() == content
        assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("stop", [OSError, KeyboardInterrupt])
def test_a_file_that_breaks_off_leaves_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    write_whole(tmp_path / "a.txt", b"old")
    with pytest.raises(stop), new_file(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise stop
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("stop", [OSError, KeyboardInterrupt])
def test_a_folder_that_breaks_off_leaves_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").touch()
    with pytest.raises(stop), new_folder(tmp_path / "set", force=True) as folder:
        (folder / "new").touch()
        raise stop
    assert names(tmp_path) == ["set"] and names(tmp_path / "set") == ["old"]


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    check_place(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="there is no folder"):
        check_place(tmp_path / "none" / "a.txt")
    with pytest.raises(ValueError, match="is a folder"):
        check_place(tmp_path)
