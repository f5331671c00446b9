"""Make the pictures of the README, with the commands that users have.

A model is trained with the defaults on the text that comes with charrnn, and
inspected on passages from its end, which the training held out. The living page is
taken from headless Chromium, if that, its driver and selenium are there (the extra
"browser").

    python benchmarks/pictures/make.py [--checkpoint FILE]
"""

import argparse
import base64
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).resolve().parent
CORPUS = PICTURES.parent.parent / "corpora" / "saltmarsh.txt"

#: The passages that are shown: where they begin, and how long they are.
SURPRISE, NEURONS = ("From the log, 26th June.", 400), ('"Oh, surely!', 210)

#: Characters of the end that memory is measured on.
MEMORY = 13_000

#: Bytes that a picture may have.
MOST = 60_000

#: How the living page begins, and how much it writes before its picture is taken.
OPENING, WRITTEN = "From the log", 400

#: The part of the page that the picture shows, in pixels, and seconds to get there.
SIZE, PATIENCE = {"width": 980, "height": 660}, 120.0

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")

#: Begins scripts: finds the parts of a page.
FIND = """const find = (part) => document.querySelector(`[data-part="${part}"]`);"""


def main() -> None:
    """Train unless a checkpoint is given, and write the three drawings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="trained on saltmarsh.txt")
    checkpoint = parser.parse_args().checkpoint
    text = CORPUS.read_text()
    with tempfile.TemporaryDirectory() as directory:
        if checkpoint is None:
            checkpoint = Path(directory) / "saltmarsh.npz"
            charrnn("train", str(CORPUS), "-o", str(checkpoint))
        else:
            checkpoint = checkpoint.resolve()
        draw(checkpoint, "surprise", passage(text, *SURPRISE), "--top", "3")
        start, length = NEURONS  # what units follow is measured to the end
        draw(checkpoint, "neurons", text[text.index(start) :], "--top", "2",
             "--max-chars", str(length))  # fmt: skip
        draw(checkpoint, "memory", text[-MEMORY:])
        photograph(checkpoint, Path(directory))


def passage(text: str, start: str, length: int) -> str:
    """Cut a passage out of a text, to the end of a line."""
    place = text.index(start)
    return text[place : text.index("\n", place + length)]


def draw(checkpoint: Path, view: str, text: str, *options: str) -> None:
    """Draw one view of a text."""
    picture = PICTURES / f"{view}.svg"
    path = ("--svg", str(picture))
    charrnn("inspect", checkpoint.name, "--view", view, "--text", text, *path,
            "--width", "86", *options, where=checkpoint.parent)  # fmt: skip
    size = picture.stat().st_size
    if size > MOST:
        sys.exit(f"{picture} has {size:,} bytes")


def photograph(checkpoint: Path, directory: Path) -> None:
    """Let a living page write, and take its picture."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        print("Chromium or its driver is missing: the living page is left as it was")
        return
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    page = directory / "live.html"
    charrnn("inspect", checkpoint.name, "--live", str(page), "--text", OPENING,
            where=checkpoint.parent)  # fmt: skip
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(flag)
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    try:
        metrics = {**SIZE, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get(page.as_uri())
        wait(driver, "document.body.dataset.ready === 'yes'")
        # Less daring than by chance, and the same text at every time.
        driver.execute_script(f"{FIND} find('temperature').value = '0.6'")
        driver.execute_script(f"{FIND} find('write').click()")
        wait(driver, f"find('back').textContent.length > {len(OPENING) + WRITTEN}")
        driver.execute_script(f"{FIND} find('write').click()")
        wait(driver, "find('write').textContent === 'Write'")
        script = f"""{FIND} const field = find('field');
            field.value = field.value.slice(0, {len(OPENING) + WRITTEN});
            field.dispatchEvent(new Event('input'))"""
        driver.execute_script(script)
        wait(driver, "/^[^;]*bits per/.test(find('status').textContent)")
        wait(driver, "find('guesses').children.length && find('next').children.length")
        time.sleep(1)  # what is drawn is drawn part by part
        clip = {"clip": {"x": 0, "y": 0, **SIZE, "scale": 1}, "format": "png"}
        found = driver.execute_cdp_cmd("Page.captureScreenshot", clip)
    finally:
        driver.quit()
    (PICTURES / "live.png").write_bytes(base64.b64decode(found["data"]))


def wait(driver: Any, condition: str) -> None:
    """Wait until something is so on a page, or stop."""
    end = time.monotonic() + PATIENCE
    while not driver.execute_script(f"{FIND} return {condition}"):
        if time.monotonic() > end:
            sys.exit(f"the page does not get so far: {condition}")
        time.sleep(0.05)


def charrnn(*arguments: str, where: Path | None = None) -> None:
    """Run the command, and stop if it fails."""
    subprocess.run([sys.executable, "-m", "charrnn", *arguments], check=True, cwd=where)


if __name__ == "__main__":
    main()
