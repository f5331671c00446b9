"""Where compiled kernels are kept: private, tidy, and told of when it cannot be."""

import os
import pwd
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from charrnn.caching import (
    KEPT_DAYS,
    NotPrivateError,
    Place,
    Unkept,
    cache_root,
    keep_recent,
    note_unkept,
    take_unkept,
)

DAY = 24 * 3600

USED, RECENT, OLD = "0123456789abcdef", "11111111111111aa", "22222222222222bb"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a cache of three digests, one of which nobody has used for long."""
    for name, days in ((USED, 0), (RECENT, KEPT_DAYS - 1), (OLD, KEPT_DAYS + 1)):
        made = make(tmp_path / name)
        aged(made, days)
    return tmp_path


def make(directory: Path) -> Path:
    """Make a directory of compiled kernels."""
    (directory / "rnn_1").mkdir(parents=True)
    (directory / "rnn_1" / "rnn.step-1.nbi").write_bytes(b"code")
    return directory


def aged(directory: Path, days: float) -> None:
    """Say that a directory was last used so many days ago."""
    then = time.time() - days * DAY
    os.utime(directory, (then, then))


def names(root: Path) -> set[str]:
    """List what is left."""
    return {path.name for path in root.iterdir()}


def test_forgotten_kernels_go_when_new_ones_are_made(root: Path) -> None:
    keep_recent(root, root / USED, is_new=True)

    assert names(root) == {USED, RECENT}


def test_nothing_goes_while_nothing_is_new(root: Path) -> None:
    """Looking costs time at every start."""
    keep_recent(root, root / USED, is_new=False)

    assert names(root) == {USED, RECENT, OLD}


def test_what_is_in_use_stays_however_old_it_is(root: Path) -> None:
    aged(root / USED, 10 * KEPT_DAYS)
    keep_recent(root, root / USED, is_new=True)

    assert USED in names(root)


def test_using_kernels_keeps_them_from_being_forgotten(root: Path) -> None:
    """Others may make new ones tomorrow."""
    keep_recent(root, root / OLD, is_new=False)
    keep_recent(root, root / USED, is_new=True)

    assert names(root) == {USED, RECENT, OLD}


def test_a_day_is_not_noted_twice(root: Path) -> None:
    """No start writes anything that has nothing to say."""
    aged(root / USED, 0.5)
    before = (root / USED).stat().st_mtime_ns
    keep_recent(root, root / USED, is_new=False)
    assert (root / USED).stat().st_mtime_ns == before

    aged(root / USED, 1.5)
    keep_recent(root, root / USED, is_new=False)
    assert time.time() - (root / USED).stat().st_mtime < DAY / 2


@pytest.mark.parametrize(
    "name",
    ["notes", OLD[:-1], OLD + "0", OLD.replace("b", "g"), "3" * 14 + "BB", "rnn_1"],
)
def test_what_has_another_name_is_not_ours_to_remove(root: Path, name: str) -> None:
    """The directory may be one that the user chose."""
    aged(make(root / name), 10 * KEPT_DAYS)
    keep_recent(root, root / USED, is_new=True)

    assert (root / name / "rnn_1" / "rnn.step-1.nbi").exists()


def test_links_are_not_followed(root: Path, tmp_path_factory) -> None:
    """Behind one stands something that is not ours."""
    elsewhere = make(tmp_path_factory.mktemp("elsewhere") / "kernels")
    aged(elsewhere, 10 * KEPT_DAYS)
    (root / "33333333333333cc").symlink_to(elsewhere)
    keep_recent(root, root / USED, is_new=True)

    assert (elsewhere / "rnn_1" / "rnn.step-1.nbi").exists()


def test_a_cache_that_cannot_be_tidied_still_works(root: Path) -> None:
    keep_recent(root / "nowhere", root / USED, is_new=True)
    keep_recent(root, root / "gone", is_new=False)

    assert names(root) == {USED, RECENT, OLD}


def test_a_place_is_tidied_when_its_kernels_are_new(root: Path) -> None:
    """Which they are while there are none."""
    Place(root / USED, root).tidy()
    assert names(root) == {USED, RECENT, OLD}

    empty = root / "44444444444444dd"
    Place(empty, root).make()
    Place(empty, root).tidy()
    assert names(root) == {USED, RECENT, empty.name}


def test_a_chosen_place_is_nobodys_to_tidy(root: Path) -> None:
    Place(root / "44444444444444dd", root=None).make("below")
    Place(root / "44444444444444dd", root=None).tidy()

    assert (root / "44444444444444dd" / "below").is_dir()
    assert OLD in names(root)


def test_a_place_that_is_not_there_is_not_trusted(tmp_path: Path) -> None:
    """Nor is it made to be looked at."""
    place = Place(tmp_path / "cache" / USED, tmp_path / "cache")
    with pytest.raises(FileNotFoundError):
        place.check("kernels")
    assert list(tmp_path.iterdir()) == []

    place.make("kernels")
    place.check("kernels")


def test_the_first_reason_is_told_and_all_are_forgotten(tmp_path: Path) -> None:
    """Whoever is told once knows what to do about the others."""
    take_unkept()
    assert take_unkept() is None
    note_unkept(None, RuntimeError("There is no source"))
    note_unkept(tmp_path, OSError(28, "No space left on device"))

    assert take_unkept() == Unkept(None, "there is no source")
    assert take_unkept() is None


def test_a_directory_that_is_not_private_is_named(tmp_path: Path) -> None:
    """Not the one that it stands in."""
    take_unkept()
    note_unkept(tmp_path, NotPrivateError(1, "others can write to it", "open"))

    assert take_unkept() == Unkept(Path("open"), "others can write to it")


# Where kernels are kept.

#: What the system's list of users says.
LISTED = "/listed/user"


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a home directory in the list of users, and no variable set."""
    entry = pwd.getpwuid(0)
    changed = pwd.struct_passwd((*entry[:5], LISTED, entry[6]))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: changed)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("CHARRNN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"HOME": "/home/me"}, "/home/me/.cache/charrnn"),
        ({}, f"{LISTED}/.cache/charrnn"),
        ({"HOME": ""}, f"{LISTED}/.cache/charrnn"),
        ({"HOME": "me"}, f"{LISTED}/.cache/charrnn"),
        ({"HOME": "."}, f"{LISTED}/.cache/charrnn"),
        ({"HOME": "~"}, f"{LISTED}/.cache/charrnn"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "/x"}, "/x/charrnn"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": ""}, "/home/me/.cache/charrnn"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "x"}, "/home/me/.cache/charrnn"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "~/x"}, "/home/me/x/charrnn"),
        ({"HOME": "", "XDG_CACHE_HOME": "~/x"}, f"{LISTED}/x/charrnn"),
        ({"HOME": "/home/me", "CHARRNN_CACHE_DIR": "/c"}, "/c"),
        ({"HOME": "/home/me", "CHARRNN_CACHE_DIR": "c"}, "c"),
        ({"HOME": "/home/me", "CHARRNN_CACHE_DIR": "c~"}, "c~"),
        ({"HOME": "/home/me", "CHARRNN_CACHE_DIR": "~"}, "/home/me"),
        ({"HOME": "/home/me", "CHARRNN_CACHE_DIR": "~/c"}, "/home/me/c"),
        ({"HOME": "me", "CHARRNN_CACHE_DIR": "~/c"}, f"{LISTED}/c"),
    ],
)
def test_variables_name_the_place(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], root: str
) -> None:
    """None of them leads to a place that nobody has meant."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert cache_root() == Path(root)


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("home", ["", "me", "~"])
def test_nobodys_home_is_no_place(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """As of a user whom a container has made up."""

    def unknown(number: int) -> NoReturn:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setenv("HOME", home)

    with pytest.raises(RuntimeError, match="no home directory"):
        cache_root()
