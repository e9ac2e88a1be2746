"""Takes the documentation's pictures: starts a demo with simulated devices, or looks at a dashboard that runs.

`python -m scripts.screenshots` starts the demo; `--dashboard URL --controller URL` take one that is there. `--vision
protanopia deuteranopia tritanopia` takes each picture as people with such eyes see it, too, as `fleet-protanopia.png`.
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

from controller.cli.ports import next_free
from controller.cli.readiness import answers_http, wait_until
from controller.client import Client

FOLDER = Path(__file__).parents[1] / "docs" / "images"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, NARROW = 1440, 390
VISIONS = ("protanopia", "deuteranopia", "tritanopia", "achromatopsia", "blurredVision")
"""What Chromium can simulate, in its words."""
COLOURS = 256
"""Of a picture's palette: a quarter of the bytes, and hardly a difference to be seen."""
START_S, STORY_S = 120.0, 360.0
ALERTS = 3
ROLLED_OUT = "digits_mlp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture: of which address, what has to be on it, and its size in CSS pixels."""

    path: str
    awaits: str
    height: int
    width: int = WIDE
    dark: bool = False


CHART = "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"
SHOTS = {
    "fleet": Shot(path="/", awaits=".ew-table .ew-spark", height=1000),
    "fleet-dark": Shot(path="/", awaits=".ew-table .ew-spark", height=1000, dark=True),
    "fleet-phone": Shot(path="/", awaits=".ew-table", height=900, width=NARROW),
    "device": Shot(path="/device?id=pi5-2", awaits=CHART, height=1650),
    "device-dark": Shot(path="/device?id=pi5-2", awaits=CHART, height=1650, dark=True),
    "device-phone": Shot(path="/device?id=pi5-2", awaits=CHART, height=1500, width=NARROW, dark=True),
    "deploy": Shot(
        path="/deploy?model=digits_cnn_l&to=pi5-1&to=pi4-1&energy_mj={budget_mj:.4g}",
        awaits=".ew-verdict >> nth=1",
        height=1500,
    ),
    "predictions": Shot(path="/predictions?board=raspberry_pi_5", awaits=CHART, height=1100),
    "rollout": Shot(path="/rollouts?id={rollout_id}", awaits=".ew-waves", height=1000),
}


def main() -> int:
    """Take every picture; return the exit code."""
    given = _arguments()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as open_:
        dashboard, controller = (given.dashboard, given.controller) if given.dashboard else open_.enter_context(demo())
        client = open_.enter_context(Client(controller, timeout=30.0))
        facts: dict[str, object] = {"budget_mj": budget_between(client), "rollout_id": ""}
        home, play = open_.enter_context(tempfile.TemporaryDirectory()), open_.enter_context(sync_playwright())
        for scheme in ("dark", "light"):
            browser = play.chromium.launch_persistent_context(
                f"{home}/{scheme}", executable_path=chromium, args=FLAGS, color_scheme=scheme
            )
            for name, shot in SHOTS.items():
                if shot.dark == (scheme == "dark") and (not given.only or name in given.only):
                    if name == "rollout":
                        facts["rollout_id"] = roll_out(client)
                    take(
                        browser,
                        f"{dashboard}{shot.path.format(**facts)}",
                        shot,
                        given.out / f"{name}.png",
                        given.vision,
                    )
            browser.close()
    return 0


def take(browser: BrowserContext, address: str, shot: Shot, file: Path, visions: Sequence[str] = ()) -> None:
    """Write one picture, and one beside it for each way of seeing."""
    page = browser.new_page()
    page.set_viewport_size({"width": shot.width, "height": shot.height})
    page.goto(address)
    page.locator(shot.awaits).first.wait_for(timeout=60_000)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
    page.wait_for_timeout(3_000)  # widgets and charts are drawn after the script has ended
    keep(page, file)
    for vision in visions:
        page.context.new_cdp_session(page).send("Emulation.setEmulatedVisionDeficiency", {"type": vision})
        keep(page, file.with_stem(f"{file.stem}-{vision}"))
    page.close()


def keep(page: Page, file: Path) -> None:
    """Write what a page shows now, with few colours."""
    page.screenshot(path=file)
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            file, optimize=True
        )
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB", flush=True)


def budget_between(client: Client) -> float:
    """Wait until the demo has something to show; return a budget that one of two boards keeps, mJ per inference."""
    if not wait_until(lambda: _told(client), within_s=STORY_S):
        raise SystemExit(
            "the demo's devices did not all run a model within six minutes, one of them hot and over budget"
        )
    high_mj = {
        device_id: client.deploy(device_id, "digits_cnn_l", dry_run=True)["verdict"]["high_mj"]
        for device_id in ("pi5-1", "pi4-1")
    }
    return sum(high_mj.values()) / 2


def roll_out(client: Client) -> str:
    """Begin a rollout and wait for its second wave; return its id."""
    ids = [each["id"] for each in client.devices()["devices"]]
    made = str(client.make_rollout(ROLLED_OUT, device_ids=ids, waves=["1", "50%", "100%"], watch_s=30.0)["rollout_id"])
    wait_until(lambda: client.rollout(made)["rollout"]["wave"] > 1, within_s=STORY_S)
    return made


def _told(client: Client) -> bool:
    """Whether every device runs a model, and one of them has raised all its alerts: it takes a while to get warm."""
    devices = client.devices()["devices"]
    return client.alerts()["total"] >= ALERTS and all(each["active"] for each in devices)


@contextlib.contextmanager
def demo() -> Iterator[tuple[str, str]]:
    """Run the demo on free ports; gives the addresses of dashboard and controller."""
    port, dashboard_port, mqtt_port = next_free(25_000), next_free(28_501), next_free(21_883)
    ports = ("--port", str(port), "--dashboard-port", str(dashboard_port), "--mqtt-port", str(mqtt_port))
    with tempfile.TemporaryDirectory(prefix="edgewatt-pictures-") as data:
        command = [sys.executable, "-m", "controller.cli", "demo", *ports, "--data", data, "--broker", "auto"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
            try:
                for each, path in ((port, "/readyz"), (dashboard_port, "/_stcore/health")):
                    if not wait_until(lambda each=each, path=path: answers_http(each, path), within_s=START_S):
                        raise SystemExit("the demo did not start")
                yield f"http://127.0.0.1:{dashboard_port}", f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
                process.wait(timeout=60)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dashboard", default="")
    parser.add_argument("--controller", default="")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="*", default=[], choices=list(SHOTS))
    parser.add_argument("--vision", nargs="*", default=[], choices=VISIONS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
