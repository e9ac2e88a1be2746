"""Writes the reference pages that are made from the code: topics, states of a deployment, the log, the command line.

`python -m scripts.reference` (or `make docs`) writes them; a test keeps them current.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.main import get_command

from broker.acl import READ, WRITE, Access, Rules, controller_rules, device_rules, operator_rules
from broker.conditions import WAITS_FOR
from broker.phases import CONTROLLER_OWNED, NEXT, TERMINAL, Phase
from broker.topics import CONTROLLER_STATUS, ROUTES
from controller.access.roles import SAYS as ROLE_SAYS
from controller.access.rules import RULES
from controller.alerts import state as alert_state
from controller.alerts.builtin import BUILT_IN
from controller.alerts.quantities import QUANTITIES
from controller.cli.app import app
from controller.cli.exits import SAYS as EXITS
from controller.logs import CAUSES, SAYS
from controller.outcomes import OUTCOMES
from controller.rollouts import standing
from controller.rollouts import state as rollout_state
from scripts import conversions

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Made by `make docs` from the code; edit that instead. -->"


def topics() -> str:
    """Return the page of topics."""
    rows = [
        f"| `device/<id>/{route.suffix}` | `{route.kind.__name__}` | {route.qos} | {'yes' if route.retain else 'no'} "
        f"| {', '.join(route.writers)} | {', '.join(route.readers)} | {route.says} |"
        for route in ROUTES
    ]
    rows.append(
        f"| `{CONTROLLER_STATUS}` | `ControllerStatus` | 1 | yes | controller | agent, controller "
        "| presence of the controller, and where artifacts are |"
    )
    rights = {"a device, its id being its name": device_rules("<id>"), "controller": controller_rules()}
    rights |= {"operators, who are people": operator_rules()}
    may = [f"| {user} | {_topics_with(rules, READ)} | {_topics_with(rules, WRITE)} |" for user, rules in rights.items()]
    return _page(
        "Topics",
        "Everything that passes on the bus. Payloads are UTF-8 JSON of at most 64 KiB, MQTT 3.1.1 is enough; operators "
        "read everything. `<id>` is `[a-z0-9][a-z0-9._-]{0,63}`. The fields are in `broker/messages.py`, "
        "`broker/activity.py` and `broker/commands.py`; unknown ones "
        "are ignored.",
        "| topic | message | QoS | retained | written by | read by | content |\n|---|---|---|---|---|---|---|\n"
        + "\n".join(rows),
        "`edgewatt bus topics` prints this table, `edgewatt bus acl` the access rules made from it, and "
        "`edgewatt bus tail` the messages as they pass.",
        "## Who may\n\nWhere the broker knows users ([secure a fleet](../how-to/secure.md)) a user reads and writes "
        "this and nothing else, and a session belongs to its user, whatever client id it claims. "
        "`fleet/doctor/probe` is where `edgewatt doctor` leaves a document and looks whether it is kept.\n\n"
        "| user | reads | writes |\n|---|---|---|\n" + "\n".join(may),
    )


def _topics_with(rules: Rules, access: Access) -> str:
    return ", ".join(f"`{topic}`" for topic, rights in rules.items() if rights & access)


def states() -> str:
    """Return the page of a deployment's states."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.REQUESTED}"]
    ends_anywhere = _common_ends()
    for phase, following in NEXT.items():
        drawn = following - ends_anywhere if _ends_anywhere(phase) else following
        lines += [f"    {phase} --> {after}" for after in sorted(drawn)]
    lines += [f"    {phase} --> [*]" for phase in sorted(TERMINAL)]
    lines.append("```")
    anywhere = ", ".join(f"`{phase}`" for phase in sorted(ends_anywhere))
    rows = [
        f"| `{phase}` | {_owner(phase)} | {', '.join(f'`{after}`' for after in sorted(NEXT[phase])) or 'nothing'} |"
        for phase in Phase
    ]
    waits = WAITS_FOR.items()
    return _page(
        "States of a deployment",
        "The same words on the bus, in REST, on the command line and in the dashboard. Exactly one side owns each "
        "state, and a terminal state never changes.",
        "\n".join(lines),
        f"Not drawn: each state from `sent` to `soaking` may also end as {anywhere}.",
        "| state | moved by | may be followed by |\n|---|---|---|\n" + "\n".join(rows),
        "A device that is `waiting` says for what: `reason` is one of these words, `detail` says it with figures, and "
        "`eta` when it goes on, where that can be known.",
        "| reason | it waits for |\n|---|---|\n" + "\n".join(f"| `{word}` | {says} |" for word, says in waits),
    )


def log() -> str:
    """Return the page of the log: its events, who causes them, and how deployments are counted."""
    kinds = "\n".join(f"| `{kind}` | {says} |" for kind, says in SAYS.items())
    causes = "\n".join(f"| `{who}` | {says} |" for who, says in CAUSES.items())
    ends = "\n".join(f"| `{phase}` | {outcome} | {why} |" for phase, (outcome, why) in OUTCOMES.items())
    return _page(
        "The log",
        "Every change is one event: when it happened (`at`, Unix seconds), its `type`, `who` caused it, `device_id` "
        "and `deployment_id` where it is about one, the `phase` of a deployment, the `text` as a sentence, the "
        "`reason`, and `facts` for programs. Events are numbered in the order in which they were written; no number "
        "is used twice.",
        f"| type | tells that |\n|---|---|\n{kinds}",
        f"| who | is |\n|---|---|\n{causes}",
        "How a deployment's end counts in `success_count`, `error_count` and `success_rate` "
        "(successes among successes and errors):",
        f"| end | counts as | because |\n|---|---|---|\n{ends}",
    )


def rollouts() -> str:
    """Return the page of rollouts: their phases, those of a wave, and where a device stands."""
    words = "\n".join(
        f"| `{each}` | {standing.MEANS[each]} | {_listed(following)} |"
        for each, following in standing.NEXT_STANDING.items()
    )
    return _page(
        "Phases of a rollout",
        "The same words in REST, on the command line and in the dashboard. A terminal phase never changes, and every "
        "rollout reaches one: at its deadline at the latest (after a day, with a daily window after "
        f"{rollout_state.WINDOWED_DEADLINE_S / 86_400:.0f} days, or as asked), or an hour after it began to roll back.",
        _drawn(rollout_state.NEXT, "planned"),
        "What one step may lead over is drawn as the steps. A wave has phases of its own:",
        _drawn(rollout_state.NEXT_WAVE, "waiting"),
        "A wave whose rollout ended first stays as it is. Each device stands somewhere; `away` and `rollback_away` are "
        "not waited for:",
        "| standing | means | may be followed by |\n|---|---|---|\n" + words,
    )


def alert_rules() -> str:
    """Return the page of alerts: their states, the rules that every fleet begins with, and what can be watched."""
    states = "\n".join(
        f"| `{each}` | {alert_state.MEANS[each]} | {_listed(following)} |"
        for each, following in alert_state.NEXT.items()
    )
    rules = "\n".join(
        f"| `{rule.name}` | {rule.severity} | {rule.condition} | {'' if rule.clear is None else f'{rule.clear:g}'} "
        f"| {rule.says} {rule.advice} |"
        for rule in BUILT_IN.values()
    )
    watched = "\n".join(
        f"| `{each.name}` | {each.unit} | {each.scope} | {'yes' if each.column else 'no'} | {each.says} |"
        for each in QUANTITIES.values()
    )
    return _page(
        "Rules of alerts",
        "[Be told when something needs you](../how-to/alerts.md) says how to use them. An alert is a rule on a device, "
        "a rollout or the controller; it stands in one of these states:",
        f"| state | means | may be followed by |\n|---|---|---|\n{states}",
        "What every fleet begins with. `edgewatt alerts rules set NAME …` changes a rule or switches it off, and "
        "`edgewatt alerts rules remove NAME` brings it back as it comes:",
        f"| rule | severity | when | clears at | why, and what to do |\n|---|---|---|---|---|\n{rules}",
        "What can be watched; a preview says how often a rule over it would have fired:",
        f"| quantity | unit | of | preview | is |\n|---|---|---|---|---|\n{watched}",
    )


def roles() -> str:
    """Return the page of roles: what each may do, and which one each path of REST needs."""
    each_says = "\n".join(f"| `{role}` | {says} |" for role, says in ROLE_SAYS.items())
    paths = "\n".join(
        f"| {method} | `{path}` | {f'`{role}`' if role else 'nobody has to sign in'} |"
        for (method, path), role in sorted(RULES.items(), key=lambda item: (item[0][1], item[0][0]))
    )
    return _page(
        "Roles",
        "[Sign in](../how-to/sign-in.md) says how to get a token. Each role may also do what those before it may:",
        f"| role | does |\n|---|---|\n{each_says}",
        "What each path of REST needs where access is required; WS is a websocket, and what is not here needs an "
        "`admin`. The address of a file in a command is signed, and needs no token.",
        f"| method | path | role |\n|---|---|---|\n{paths}",
    )


def command_line() -> str:
    """Return the page of the command line."""
    codes = "\n".join(f"| {int(code)} | {says} |" for code, says in EXITS.items())
    sections = [_command(path, command) for path, command in commands(get_command(app))]
    return _page(
        "Command line",
        "stdout is data, stderr is talk. Every command takes `--json` (one document, or one object per line where it "
        "follows something; errors as JSON on stderr), `--quiet` and `--controller URL`. Settings come from the flag, "
        "else the environment (`EDGEWATT_CONTROLLER_URL`, `EDGEWATT_BROKER_URL`), else the file "
        "`~/.config/edgewatt/config.toml` (or `EDGEWATT_CONFIG`), else `http://127.0.0.1:5000` and "
        "`mqtt://127.0.0.1:1883`. The token that signs in is from `EDGEWATT_TOKEN`, or the file that `token_file` "
        "(`EDGEWATT_TOKEN_FILE`) names; never from an option ([sign in](../how-to/sign-in.md)).",
        f"| exit code | means |\n|---|---|\n{codes}",
        *sections,
    )


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command below `group` with its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def converted() -> str:
    """Return the page of conversions."""
    return _page(
        "Conversions",
        "Which files the workshop makes of a network, and which networks become which.",
        conversions.page(),
    )


PAGES = {
    "topics.md": topics,
    "deployment-states.md": states,
    "log.md": log,
    "rollout-phases.md": rollouts,
    "alert-rules.md": alert_rules,
    "roles.md": roles,
    "cli.md": command_line,
    "conversions.md": converted,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")
        print(REFERENCE / name)


def _command(path: tuple[str, ...], command: Any) -> str:
    example, _, text = command.help.partition("\n\n")
    arguments = [_argument(each) for each in command.params if each.param_type_name == "argument"]
    rows = [
        f"| `{', '.join((*each.opts, *each.secondary_opts))}` | {_says(each)} |"
        for each in command.params
        if each.param_type_name == "option" and not {"--json", "--quiet", "--controller", "--help"} & set(each.opts)
    ]
    table = "| option | |\n|---|---|\n" + "\n".join(rows) if rows else ""
    title = f"## edgewatt {' '.join((*path, *arguments))}"
    shell = f"```sh\n{example.removeprefix('Example: ')}\n```"
    return "\n\n".join(filter(None, (title, text, shell, table)))


def _drawn(table: Mapping[str, frozenset[str]], first: str) -> str:
    """Return a table of what follows what as a diagram."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {phase} --> {after}" for phase, following in table.items() for after in sorted(following)]
    lines += [f"    {phase} --> [*]" for phase, following in table.items() if not following]
    return "\n".join([*lines, "```"])


def _listed(phases: Iterable[str]) -> str:
    return ", ".join(f"`{phase}`" for phase in sorted(phases)) or "nothing"


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _says(option: Any) -> str:
    default = option.default
    shown = default not in (None, "", False, True) and not callable(default)
    return f"{option.help or ''}{f' Default: {default}.' if shown else ''}".strip()


def _owner(phase: Phase) -> str:
    if phase in TERMINAL:
        return "nobody: terminal"
    return "controller" if phase in CONTROLLER_OWNED else "device"


def _ends_anywhere(phase: Phase) -> bool:
    return _common_ends() <= NEXT[phase]


def _common_ends() -> frozenset[Phase]:
    """Return the terminal states that follow every step of a device alike."""
    return frozenset(NEXT[Phase.ACCEPTED] & TERMINAL)


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", NOTE, *parts)) + "\n"


if __name__ == "__main__":
    main()
