"""The flags of the command line that are settings of the agent, the same for each of its commands."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from edge_agent.settings import PROVIDERS, SLEEPS_BY, Settings, load, tags_from

HEATS_AFTER_S = 30.0


class _Exposed(argparse.Action):
    """A password among the arguments, where everybody on the machine can read it: refused."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        """Say where it belongs, and end."""
        parser.error("a password on the command line can be read by all: use --password-file or EDGEWATT_PASSWORD")


def add_settings(command: argparse.ArgumentParser) -> None:
    """Give `command` a flag for each setting."""
    add = command.add_argument
    add("--settings", type=Path, metavar="FILE", help="a TOML file with the names below, without dashes")
    add("--id", help="device id; by default made of the host's name")
    add("--broker", metavar="URL", help="mqtts://host:8883, or mqtt://host:1883 without TLS")
    add("--data", type=Path, metavar="DIR", help="where models and journal live")
    add("--device-type", metavar="TYPE", help="such as raspberry_pi_5; by default read from the board")
    add("--tag", action="append", metavar="K=V", dest="tags", help="may be given more than once")
    add("--simulate", action="store_true", default=None, help="play the board of --device-type; figures say so")
    add(
        "--simulate-throttle",
        nargs="?",
        type=float,
        const=HEATS_AFTER_S,
        metavar="SECONDS",
        dest="heats_after_s",
        help=f"heat up and throttle that long after the first inference (default {HEATS_AFTER_S:g})",
    )
    add("--battery-wh", type=float, metavar="WH", help="the battery behind the board, for advice on how long it lasts")
    add("--solar-wh", type=float, dest="solar_wh_per_day", metavar="WH", help="what a panel yields in a day")
    add(
        "--input",
        metavar="SOURCE",
        help="what the model runs on: samples (those in its file, the default), folder:PATH, camera:0, http:PORT",
    )
    add("--rate", type=float, help="the most inferences per second (default 1)")
    add(
        "--interval", type=float, dest="interval_s", metavar="SECONDS", help="between two telemetry samples (default 5)"
    )
    add("--seed", type=int, help="of simulated noise")
    add("--threads", type=int, help="of the runtime (default 1)")
    add(
        "--provider",
        choices=PROVIDERS,
        help="where onnxruntime computes; auto is cuda where it works, else cpu (default auto)",
    )
    add(
        "--meter", help="what measures power: auto (default), ina3221, tegrastats, hwmon, pmic, rapl, nvml, model, none"
    )
    add("--allow-host", action="append", dest="allow_hosts", metavar="HOST", help="artifacts may come from there too")
    add("--verify-key", metavar="KEY", help="run only what is signed with it: base64 or a file (extra signed)")
    add("--locked", action="store_true", default=None, help="take no deployment; what runs stays")
    add("--max-energy-mj", type=float, metavar="MJ", help="refuse or take back what costs more, mJ per inference")
    add("--max-latency-ms", type=float, metavar="MS", help="take back what has a higher p95")
    add("--only-host", action="append", dest="only_hosts", metavar="HOST", help="take files from there only")
    add("--keep-mb", type=float, metavar="MB", help="keep models older than the previous one within this (default 50)")
    add(
        "--spool",
        metavar="DIR",
        help="where telemetry waits for the broker (default in --data); a tmpfs spares the card",
    )
    add("--spool-mb", type=float, metavar="MB", help="how much of it (default 16, two days); 0 keeps it in memory")
    add("--awake-s", type=float, metavar="SECONDS", help="sleep after so long, and again after each waking")
    add("--sleep-s", type=float, metavar="SECONDS", help="how long it sleeps then (default 600, at most a week)")
    add(
        "--sleep-by",
        choices=SLEEPS_BY,
        help="waiting: the process stays (default); exit: it ends and prints when to start it again, Unix seconds",
    )
    add("--username", help="the broker's user, which is the device's id")
    add("--password-file", metavar="FILE", help="holds its password; or set EDGEWATT_PASSWORD")
    add("--password", action=_Exposed, help=argparse.SUPPRESS)
    add("--ca-file", metavar="FILE", help="the authority that vouches for broker and controller")
    add("--cert-file", metavar="FILE", help="our certificate, for a broker that wants one")
    add("--key-file", metavar="FILE", help="its key")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings that flags, environment and file make together; raises EdgeWattError."""
    names = {field.name for field in fields(Settings)}
    flags: dict[str, Any] = {name: value for name, value in vars(arguments).items() if name in names}
    if flags.get("tags") is not None:
        flags["tags"] = tags_from(flags["tags"])
    if flags.get("heats_after_s") is not None:
        flags["simulate"] = True
    return load(flags, file=arguments.settings)
