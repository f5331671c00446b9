"""Compiled kernels of other sources: forgotten ones go, those in use stay."""

import os
import time
from pathlib import Path

import pytest

from charrnn.caching import KEPT_DAYS, keep_recent

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
