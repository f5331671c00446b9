"""A real browser for tests of pages: headless Chromium, driven by selenium.

Where either is missing the tests are skipped, unless ``CHARRNN_BROWSER`` is
set in the environment: then they fail.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

#: So that the tests also run as root, in containers, and without a network.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def missing() -> str | None:
    """Name what the tests would need and this machine does not have."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: pip install -e '.[browser]'"
    return None


@contextmanager
def browser(directory: Path) -> Iterator["Chrome"]:
    """Start a browser with an empty profile, and end it."""
    if reason := missing():
        if os.environ.get("CHARRNN_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={directory}"):
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    service = ChromeService(executable_path=shutil.which("chromedriver"))
    driver = Chrome(options, service)
    try:
        yield driver
    finally:
        driver.quit()


class Tab:
    """One page in the browser."""

    def __init__(self, driver: "Chrome") -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Load a file, with the logs emptied before."""
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(path.as_uri())

    def complaints(self) -> list[str]:
        """List what the page's console says since it was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """List the addresses that were asked for since the page was opened."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found

    def scheme(self, name: str) -> None:
        """Prefer a light or a dark scheme."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [feature]}
        )

    def width(self, pixels: int, height: int = 900) -> None:
        """Make the window so wide."""
        size = {"width": pixels, "height": height, "deviceScaleFactor": 1}
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**size, "mobile": False}
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return what it returns."""
        return self.driver.execute_script(script, *arguments)
