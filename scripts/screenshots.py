"""Takes the documentation's pictures of a running dashboard: `python -m scripts.screenshots http://127.0.0.1:8501`."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = {
    "fleet": ("/", ".ew-table", 1440, 900),
    "device": ("/device?id=pi5-2", "[data-testid=stVegaLiteChart]", 1440, 1500),
    "deploy": ("/deploy?model=digits_cnn_l&to=pi5-1&to=pi4-1&energy_mj=155", "text=would fit", 1440, 1200),
    "phone": ("/", ".ew-table", 390, 844),
}
"""name → (path, what must be there, width, height in CSS pixels)"""


def main() -> int:
    """Take every picture of the dashboard at the given address; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play:
        scheme = "dark" if given.dark else "light"
        browser = play.chromium.launch_persistent_context(
            home, executable_path=chromium, args=FLAGS, color_scheme=scheme
        )
        for name, (path, awaited, width, height) in SHOTS.items():
            page = browser.new_page()
            page.set_viewport_size({"width": width, "height": height})
            page.goto(given.url + path)
            page.locator(awaited).first.wait_for(timeout=30_000)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(1_500)  # charts animate in
            page.screenshot(path=given.out / f"{name}{'-dark' if given.dark else ''}.png")
            page.close()
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
