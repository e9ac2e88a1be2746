"""The agent is light: what it does not need is not loaded, and it starts without msgspec."""

import subprocess
import sys
import textwrap

import pytest

HEAVY = {
    "numpy",
    "onnxruntime",
    "PIL",
    "cv2",
    "http.server",
    "pandas",
    "sklearn",
    "fastapi",
    "sqlite_utils",
    "amqtt",
    "httpx",
    "controller",
    "typer",
    "edge_agent.benchmark.command",
    "edge_agent.benchmark.sweep",
}

WITHOUT_MSGSPEC = """
    import asyncio, sys
    sys.modules["msgspec"] = None
    from pathlib import Path
    from tests.agent_bench import running

    async def live(folder):
        async with running(folder) as bench:
            end = await bench.do({"id": "p", "op": "ping"})
            print(end.state.value, bench.state.session == end.result["session"])

    from broker import wire
    assert not wire.HAS_MSGSPEC
    asyncio.run(live(Path(sys.argv[1])))
"""


def ran(code, *args):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("module", ["edge_agent.agent", "edge_agent.compose", "edge_agent.program"])
def test_importing_the_agent_loads_nothing_heavy(module):
    loaded = ran(f"import {module}, sys; print(*sys.modules)")

    assert not {part for name in loaded for part in (name, name.partition(".")[0])} & HEAVY


def test_the_agent_lives_without_msgspec(tmp_path):
    assert ran(WITHOUT_MSGSPEC, str(tmp_path)) == ["succeeded", "True"]
