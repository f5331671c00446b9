"""How many threads are used, under the quotas of containers, too."""

import os
from pathlib import Path

import pytest

from charrnn.errors import OptionError
from charrnn.processors import available_processors, cpu_quotas, resolve_threads

V2 = "36 30 0:31 {top} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 32 0:29 {top} {point} rw,relatime - cgroup cgroup rw,{controllers}\n"
OTHERS = (
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "23 22 0:21 / /proc rw - proc proc rw\n"
    "24 22 0:21 / /odd rw - cgroup2\n"
    "\n"
)


class System:
    """A system's files about control groups, as it would show them to a process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file("proc/self/mountinfo", OTHERS)
        self.file("proc/self/cgroup", "")

    def file(self, name: str, text: str, *, more: bool = False) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if more else ""
        path.write_text(before + text)

    def mount(self, line: str, **fields: str) -> None:
        self.file("proc/self/mountinfo", line.format(**fields), more=True)

    def group(self, line: str) -> None:
        self.file("proc/self/cgroup", line + "\n", more=True)

    def quotas(self) -> list[float]:
        return sorted(cpu_quotas(self.root))


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_a_container_of_version_2_sees_its_own_group_at_the_top(system: System) -> None:
    system.mount(V2, top="/", point="/sys/fs/cgroup")
    system.group("0::/")
    system.file("sys/fs/cgroup/cpu.max", "150000 100000\n")

    assert system.quotas() == [1.5]


def test_quotas_of_the_groups_around_count(system: System) -> None:
    system.mount(V2, top="/", point="/sys/fs/cgroup")
    system.group("0::/a.slice/b.scope")
    system.file("sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n")
    system.file("sys/fs/cgroup/a.slice/cpu.max", "25000 50000\n")
    system.file("sys/fs/cgroup/other/cpu.max", "1000 100000\n")
    # What stands above the place of the mount is no group.
    system.file("sys/fs/cpu.max", "1000 100000\n")

    assert system.quotas() == [0.5]


def test_the_controller_of_version_1(system: System) -> None:
    system.mount(V1, top="/", point="/cg/memory", controllers="memory")
    system.mount(V1, top="/", point="/cg/cpu,cpuacct", controllers="cpu,cpuacct")
    system.group("5:memory:/other")
    system.group("4:cpuacct,cpu:/a/b:c")
    system.group("1:name=systemd:/x")
    system.group("0::/x")
    for name, quota in (("a/b:c", 300_000), ("a", -1), ("x", 1), ("other", 1)):
        system.file(f"cg/cpu,cpuacct/{name}/cpu.cfs_quota_us", f"{quota}\n")
        system.file(f"cg/cpu,cpuacct/{name}/cpu.cfs_period_us", "100000\n")
    system.file("cg/memory/other/cpu.cfs_quota_us", "1\n")
    system.file("cg/memory/other/cpu.cfs_period_us", "100000\n")

    assert system.quotas() == [3.0]


@pytest.mark.parametrize(
    ("top", "group"),
    [
        ("/docker/1f", "/docker/1f"),  # the container's own group is mounted
        ("/docker/1f", "/docker/2e"),  # the group was another one at the mount
        ("/", "/../../2e"),  # the group is outside the namespace
    ],
)
def test_a_group_that_is_not_to_be_seen(system: System, top: str, group: str) -> None:
    """What is mounted is all that is known of it."""
    system.mount(V1, top=top, point="/cg/cpu", controllers="cpu")
    system.group(f"4:cpu:{group}")
    system.file("cg/cpu/cpu.cfs_quota_us", "200000")
    system.file("cg/cpu/cpu.cfs_period_us", "100000")

    assert system.quotas() == [2.0]


def test_both_versions_at_once(system: System) -> None:
    system.mount(V2, top="/", point="/cg/unified")
    system.mount(V1, top="/", point="/cg/cpu", controllers="cpu")
    system.group("2:cpu:/a")
    system.group("0::/b")
    system.file("cg/unified/b/cpu.max", "400000 100000")
    system.file("cg/cpu/a/cpu.cfs_quota_us", "200000")
    system.file("cg/cpu/a/cpu.cfs_period_us", "100000")

    assert system.quotas() == [2.0, 4.0]


def test_a_place_with_a_blank_in_its_name(system: System) -> None:
    system.mount(V2, top="/", point=r"/my\040groups")
    system.group("0::/")
    system.file("my groups/cpu.max", "100000 100000")

    assert system.quotas() == [1.0]


@pytest.mark.parametrize(
    "text",
    [
        *("max 100000", "-1 100000", "0 100000", "100000 0", "", "1", "a b", "\xff"),
        *("1 2 3", "9" * 5000 + " 1", "9" * 400 + " 1"),
    ],
    ids=range(11),
)
def test_what_is_no_quota_limits_nothing(system: System, text: str) -> None:
    system.mount(V2, top="/", point="/cg")
    system.group("0::/")
    system.file("cg/cpu.max", text)

    assert system.quotas() == []


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert list(cpu_quotas(tmp_path)) == []


@pytest.mark.parametrize(
    ("quota", "processors"),
    [("10000", 1), ("100000", 1), ("100001", 2), ("250000", 3), ("900000", 4)],
)
def test_a_quota_is_rounded_up(
    system: System, monkeypatch: pytest.MonkeyPatch, quota: str, processors: int
) -> None:
    """It is one processor at least, and no more than there are."""
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: {0, 1, 2, 5}, raising=False
    )
    system.mount(V2, top="/", point="/cg")
    system.group("0::/")
    system.file("cg/cpu.max", f"{quota} 100000")

    assert available_processors(system.root) == processors


def test_a_system_that_keeps_no_process_to_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MacOS and Windows tell how many there are, if anything."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for known, processors in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda known=known: known)
        assert available_processors(tmp_path) == processors


def test_threads_are_as_many_as_the_quota_is_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHARRNN_THREADS", raising=False)
    monkeypatch.setattr("charrnn.processors.available_processors", lambda: 1)

    assert resolve_threads(None) == (1, None)
    assert resolve_threads(1) == (1, None)
    warning = "2 threads asked for, 1 processor to use"
    assert resolve_threads(2) == (1, warning)
    monkeypatch.setenv("CHARRNN_THREADS", "2")
    assert resolve_threads(None) == (1, warning)


@pytest.mark.parametrize("variable", ["0", "-1", "two", "1.5", "9" * 5000, " "])
def test_a_variable_that_is_no_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("CHARRNN_THREADS", variable)
    with pytest.raises(OptionError, match="CHARRNN_THREADS"):
        resolve_threads(None)
