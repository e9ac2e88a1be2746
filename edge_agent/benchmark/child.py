"""Measures one model in a process of its own: an order as JSON on stdin, its answer as JSON on stdout."""

import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock

from broker.errors import EdgeWattError, WireError
from broker.messages import RuntimeInfo
from broker.wire import decode, encode
from edge_agent import vitals
from edge_agent.benchmark.figures import Benchmarked, Plan
from edge_agent.benchmark.run import benchmark
from edge_agent.compose import machine
from edge_agent.runtimes import choose
from edge_agent.runtimes.facts import ModelFacts
from edge_agent.runtimes.installed import installed
from edge_agent.settings import Settings

FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One model file to measure, and on what: the parts of the agent's settings that matter for it."""

    path: str
    format: str
    runtime: str
    plan: Plan
    device_type: str
    threads: int = 1
    providers: tuple[str, ...] = ()
    meter: str = "auto"
    simulate: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an order: figures and what the file says of itself, or `error`."""

    figures: Benchmarked | None = None
    params_m: float | None = None
    gmacs: float | None = None
    input_res: int | None = None
    rss_mb: float | None = None
    rss_peak_mb: float | None = None
    error: str = ""


def main() -> None:
    """Do the order on stdin and print the answer; whatever the runtime prints on stdout goes to stderr."""
    answers = sys.stdout
    sys.stdout = sys.stderr
    answer = answered(decode(Order, sys.stdin.buffer.read()))
    answers.write(encode(answer).decode() + "\n")
    answers.flush()
    raise SystemExit(FAILED if answer.error else 0)


def answered(order: Order) -> Answer:
    """Return what the model of `order` shows here, or why it shows nothing."""
    try:
        return measured(order)
    except EdgeWattError as error:
        said = f"{error.message} ({error.hint})" if error.hint else error.message
        return Answer(error=said.replace(order.path, Path(order.path).name))


def measured(order: Order) -> Answer:
    """Return what the model of `order` shows here; raises EdgeWattError."""
    settings = Settings(threads=order.threads, meter=order.meter, simulate=order.simulate, seed=order.seed)
    here = machine(settings, order.device_type)
    runtime, _ = choose(order.format, installed(order.threads), wanted=order.runtime)
    proved = runtime.proved(RuntimeInfo(name=runtime.name, version="", providers=order.providers))
    session = here.dress(proved.load(Path(order.path)))
    rss_mb = vitals.own_rss_mb()
    figures = benchmark(session, here.meter, order.plan, stop=Event(), turn=Lock(), senses=here.power)
    return Answer(
        figures=figures,
        params_m=session.facts.params_m,
        gmacs=session.facts.gmacs,
        input_res=_side(session.facts),
        rss_mb=rss_mb,
        rss_peak_mb=vitals.own_peak_rss_mb(),
    )


def understood(line: bytes) -> Answer | None:
    """Return the answer in what a child printed; None when it is none."""
    try:
        return decode(Answer, line)
    except WireError:
        return None


def _side(facts: ModelFacts) -> int | None:
    """Return the side of the square input, if the model carries a sample of one."""
    shape = facts.samples[0].shape if facts.samples else ()
    return next((a for a, b in pairwise(shape) if a == b and a > 1), None)


if __name__ == "__main__":
    main()
