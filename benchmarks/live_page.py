"""Pages that run their network: how fast they write, how large they are, how exact.

Every model is made into pages by what is behind ``charrnn inspect --live``. The first
table has a page's size, and what its weights cost in bits per character, on a text of
the checkpoint or one that the model writes. The second opens the page in headless
Chromium, lets it write, and counts the characters that stand in its text after some
seconds; "longest block" is the longest task of the page's own thread meanwhile, as the
browser reports it (it does not report tasks below 50 ms). For that Chromium, its
driver and selenium are needed (the extra "browser"); without them the second table is
left out.

Networks have first values, which write as fast as trained ones, but whose rounding
says little: `--checkpoint FILE`, which may be given several times, has pages made of
trained models.

    python benchmarks/live_page.py [--checkpoint FILE] [--quick] [--json FILE]
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from reporting import Report, at_least, at_most, cell, new_parser
from subjects import new_network, new_vocab

from charrnn.checkpoint import CheckpointFile
from charrnn.config import CellName, ModelConfig
from charrnn.display.html_live import live_page
from charrnn.inspection import LivePrecision
from charrnn.inspection.asked import ViewOptions
from charrnn.inspection.inspected import InspectedCheckpoint
from charrnn.inspection.living import bring_to_life
from charrnn.textmodel import TextModel

V = 65

#: Cell, layers, units, and the least rate in characters per second.
MODELS: list[tuple[CellName, int, int, float | None]] = [
    ("lstm", 1, 256, 500.0),
    ("lstm", 2, 512, 50.0),
    ("gru", 1, 256, None),
]
QUICK: list[tuple[CellName, int, int, float | None]] = [("lstm", 1, 16, None)]

#: The most megabytes of a page with 1 x 256 and float16, and the longest block in ms.
MEGABYTES, BLOCK = 1.1, 50.0

#: Seconds that a page writes for, three times over; and that it may take to begin.
SECONDS, ROUNDS, PATIENCE = 4.0, 3, 120.0

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")

#: Keeps how long the tasks of the page take that the browser reports.
WATCH = """window.blocks = [];
new PerformanceObserver(list => {
  for (const task of list.getEntries()) window.blocks.push(task.duration);
}).observe({ type: "longtask" });"""

#: Tells the time, how long the text is, and the longest task.
LOOK = """return [performance.now(),
  document.querySelector('[data-part="back"]').textContent.length,
  Math.max(0, ...window.blocks)]"""


@dataclass(frozen=True)
class Model:
    """A checkpoint that pages are made of."""

    name: str
    path: Path
    speed: float | None  # the least
    megabytes: float | None  # the most, with float16


@dataclass(frozen=True)
class Page:
    """One page of a model."""

    model: str
    precision: str
    megabytes: float
    most: float | None
    exact: float | None  # bits per character of the model
    rounded: float | None  # and with the page's weights
    characters: int | None  # that say so


@dataclass(frozen=True)
class Writing:
    """How a page writes."""

    model: str
    precision: str
    speed: float  # characters per second, the median
    target: float | None
    block: float  # ms


def main() -> None:
    """Make pages, and let them write."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "--checkpoint", type=Path, action="append", default=[], metavar="FILE"
    )
    options = parser.parse_args()
    report = Report(options)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        models = list(subjects(directory, options))
        pages = measure_pages(report, models, directory)
        if can_browse():
            seconds, rounds = (0.5, 1) if options.quick else (SECONDS, ROUNDS)
            measure_writing(report, models, pages, seconds, rounds)
        else:
            print("\nChromium, its driver or selenium is missing: no speed.")
    report.write()


def subjects(directory: Path, options: Any) -> Iterator[Model]:
    """Save networks with first values, then name the given checkpoints."""
    for kind, layers, hidden, speed in QUICK if options.quick else MODELS:
        config = ModelConfig(vocab_size=V, cell=kind, layers=layers, hidden=hidden)
        model = TextModel.of(new_network(config, options.threads), new_vocab(V))
        path = directory / f"{kind}-{layers}x{hidden}.npz"
        model.save(path)
        usual = (kind, layers, hidden) == ("lstm", 1, 256)
        yield Model(path.stem, path, speed, MEGABYTES if usual else None)
    for path in options.checkpoint:
        yield Model(path.stem, path, None, None)


def measure_pages(
    report: Report, models: list[Model], directory: Path
) -> dict[tuple[str, str], Path]:
    """Write all pages; return where they are, by model and precision."""
    add = report.table(
        "Pages",
        {
            "model": lambda row: row.model,
            "weights": lambda row: row.precision,
            "MB": lambda row: cell(row.megabytes, ".2f"),
            "target": lambda row: at_most(row.most),
            "bits/char": lambda row: cell(row.exact, ".4f"),
            "on the page": lambda row: cell(row.rounded, ".4f"),
            "characters read": lambda row: cell(row.characters),
        },
    )
    pages = {}
    for model in models:
        for precision in get_args(LivePrecision):
            page = directory / f"{model.name}-{precision}.html"
            pages[model.name, precision] = page
            add(make_page(model, precision, page))
    return pages


def make_page(model: Model, precision: LivePrecision, page: Path) -> Page:
    """Write one page, and tell what it is like."""
    with CheckpointFile(model.path) as file:
        living = bring_to_life(InspectedCheckpoint(file, ViewOptions()), precision)
    page.write_text(live_page(living, model.path.name), "utf-8")
    found = living.agreement
    return Page(
        model=model.name,
        precision=precision,
        megabytes=page.stat().st_size / 1e6,
        most=model.megabytes if precision == "float16" else None,
        exact=None if found is None else found.exact,
        rounded=None if found is None else found.rounded,
        characters=None if found is None else found.characters,
    )


def measure_writing(
    report: Report,
    models: list[Model],
    pages: dict[tuple[str, str], Path],
    seconds: float,
    rounds: int,
) -> None:
    """Let every model's usual page write."""
    add = report.table(
        "Writing in Chromium",
        {
            "model": lambda row: row.model,
            "weights": lambda row: row.precision,
            "chars/s": lambda row: cell(row.speed),
            "target": lambda row: at_least(row.target),
            "longest block, ms": lambda row: cell(row.block, ".0f") if row.block
            else f"< {BLOCK:g}",
        },
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as profile, browser(profile) as driver:
        for model in models:
            precision = "float16"
            driver.get(pages[model.name, precision].as_uri())
            ready = "return document.body.dataset.ready === 'yes'"
            wait(driver, ready)
            driver.execute_script(WATCH)
            speeds, blocks = [], []
            for _ in range(rounds):
                speed, block = write(driver, seconds)
                speeds.append(speed)
                blocks.append(block)
            median = float(np.median(speeds))
            add(Writing(model.name, precision, median, model.speed, max(blocks)))


def write(driver: Any, seconds: float) -> tuple[float, float]:
    """Let an open page write anew; its rate, and its longest task in ms."""
    press(driver, "clear")
    press(driver, "write")
    wait(driver, "return document.querySelector('[data-part=back]').textContent !== ''")
    began, before, _ = driver.execute_script(f"window.blocks = []; {LOOK}")
    time.sleep(seconds)
    ended, after, block = driver.execute_script(LOOK)
    press(driver, "write")
    wait(driver, "return document.querySelector('[data-part=write]').textContent"
         " === 'Write'")  # fmt: skip
    return 1000 * (after - before) / (ended - began), block


def press(driver: Any, part: str) -> None:
    """Press one of the page's buttons."""
    driver.execute_script(f"document.querySelector('[data-part={part}]').click()")


def wait(driver: Any, script: str) -> None:
    """Wait until a script says yes.

    Raises
    ------
    RuntimeError
        It did not for two minutes.
    """
    end = time.monotonic() + PATIENCE
    while not driver.execute_script(script):
        if time.monotonic() > end:
            msg = f"the page does not get so far: {script}"
            raise RuntimeError(msg)
        time.sleep(0.02)


def can_browse() -> bool:
    """Tell whether all is here that opens a page."""
    try:
        import selenium  # noqa: F401  # optional
    except ImportError:
        return False
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


@contextmanager
def browser(profile: str) -> Iterator[Any]:
    """Start a browser with an empty profile, and end it."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    driver = Chrome(
        options, ChromeService(executable_path=shutil.which("chromedriver"))
    )
    try:
        yield driver
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
