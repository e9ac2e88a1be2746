"""A story in which every path of REST is asked, over a fleet in memory: the examples of answers are from it.

`python -m tests.rest_story` records them anew; one whose shape is the same stays as it is.
"""

import asyncio
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from broker.messages import ActiveModel, Energy, Latency, PowerSensor, State
from broker.topics import STATE
from controller.api.examples import RECORDED, differences, recorded
from controller.balena.token import Token
from tests import fake_balena
from tests.controlling import controller
from tests.fake_balena import BETTER, SLUG, TOKEN, UUIDS
from tests.fleet.secured import make_security
from tests.listing import listed_network
from tests.tiny_models import tiny_model

LISTED = {"tinynet": listed_network("tinynet", popular=True), "tinynet_l": listed_network("tinynet_l")}
MODEL, SMALLER = "digits_cnn_l", "digits_cnn_s"
PI_5 = "raspberry_pi_5"
INFO = {"ip": "192.168.1.21", "tags": {"line": "A"}, "battery_wh": 20.0, "solar_wh_per_day": 30.0}
INFO |= {"power_sensor": PowerSensor(source="pmic"), "balena_uuid": UUIDS[0], "board": "Raspberry Pi 5"}
RULE = {"quantity": "temperature_c", "comparison": ">=", "threshold": 40.0}


@dataclass
class Story:
    """The first answer of each path, by `METHOD /path/{template}`."""

    running: object
    answers: dict = field(default_factory=dict)

    async def ask(self, method, template, body=None, query=None, content=None, **names):
        path = re.sub(r"\{(\w+)\}", lambda found: names[found[1]], template)
        more = {"content": content} if content is not None else {"json": body}
        answer = await self.running.http.request(method, path, params=query, **more)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        if answer.headers["content-type"].startswith("application/json"):
            self.answers.setdefault(f"{method} {template}", answer.json())
            return answer.json()
        return answer.text

    async def until(self, condition):
        await self.running.until(condition)


async def fleet(story, device):
    """Look at a device that works, and tell it something."""
    active = ActiveModel(model=SMALLER, artifact_sha256="ab" * 32, runtime="onnxruntime", gen=3)
    await device.say(STATE, State(rev=1, session=device.session, phase="running", gen=3, active=active))
    for seq in (1, 2):
        await device.sample(
            seq,
            model=SMALLER,
            inferences=5,
            cpu_usage_percent=21.0,
            ram_usage_mb=310.0,
            ram_usage_percent=7.6,
            temperature_c=48.5,
            storage_usage_mb=2_100.0,
            uptime_seconds=86_400.0,
            inference_active=True,
            latency_ms=Latency(p50=8.1, p95=9.4, max=12.0),
            energy=Energy(source="pmic", energy_mj=21.4, power_mw=3_900.0),
        )

    async def read():
        told = await story.running.get("/api/devices/pi5-1/telemetry")
        return bool(told["series"]) and (await story.running.get("/api/devices/pi5-1"))["device"]["active"]

    await story.until(read)
    for path in ("/livez", "/readyz", "/api/status", "/api/whoami", "/api/devices", "/api/logs", "/api/logs/kinds"):
        await story.ask("GET", path)
    await story.ask("GET", "/api/messages/refused")
    await story.ask("GET", "/api/devices/{device_id}", device_id="pi5-1")
    await story.ask("GET", "/api/devices/{device_id}/telemetry", device_id="pi5-1")
    await story.ask("GET", "/api/telemetry/courses", query={"device_id": "pi5-1"})
    await story.ask("GET", "/api/device/metrics", query={"device_id": "pi5-1"})
    await story.ask("POST", "/api/devices/{device_id}/approve", device_id="pi5-1")
    told = await story.ask("POST", "/api/devices/{device_id}/command", {"op": "ping"}, device_id="pi5-1")
    await story.ask("GET", "/api/commands/{command_id}", command_id=told["command_id"])
    await story.ask("POST", "/api/device/{deed}", {"device_id": "pi5-1"}, deed="stop")


async def models(story):
    """Look for models, have some made, put one away."""
    asked = {"device_type": PI_5}
    await story.ask("GET", "/api/models/all", query=asked | {"limit": 1, "q": MODEL})
    await story.ask("GET", "/api/models/popular", query=asked)
    await story.ask("GET", "/api/models/recommended", query=asked)
    await story.ask("GET", "/api/models/named/{name}", query=asked, name=MODEL)
    await story.ask("GET", "/api/models/pareto", query=asked)
    await story.ask("GET", "/api/models/explain", query=asked | {"model": MODEL})
    await story.ask("POST", "/api/models/analyze", content=tiny_model("mine"), query={"name": "mine"})
    await story.ask("POST", "/api/models/upload", content=tiny_model("mine"), query={"name": "mine"})
    begun = await story.ask("POST", "/api/models/download", {"model_name": "tinynet_l", "wait": False})
    job = begun["job"]["id"]
    await story.ask("GET", "/api/jobs/{job_id}", job_id=job)
    await story.ask("POST", "/api/jobs/{job_id}/cancel", job_id=job)
    story.answers.pop("POST /api/models/download")
    (story.running.parts.data_dir / "go").touch()
    await story.ask("POST", "/api/models/download", {"model_name": "tinynet"})
    await story.ask("POST", "/api/models/convert", {"model_name": "tinynet", "format": "onnx", "variant": "fp16"})
    await story.ask("GET", "/api/jobs")
    await story.ask("POST", "/api/models/verify", {"model_name": "mine"})
    second = tiny_model("mine", seed=1)
    await story.running.http.put("/api/models/upload/mine.onnx", content=second, params={"name": "mine"})
    sha256 = story.running.parts.catalogue.get("mine").artifact_sha256
    await story.ask("POST", "/api/models/promote", {"model_name": "mine", "version": sha256})
    await story.ask("GET", "/api/models/named/{name}/versions", name="mine")
    await story.running.post("/api/models/promote", model_name="mine", undo=True)
    await story.ask("POST", "/api/models/archive", {"model_name": "mine"})


async def energy(story):
    """Ask what models would cost."""
    await story.ask("POST", "/api/predict-energy", {"device_type": PI_5, "model_name": MODEL})
    await story.ask("GET", "/api/energy/thresholds")
    await story.ask("GET", "/api/energy/metadata")
    await story.ask("POST", "/api/plan", {"energy_wh_per_day": 50.0})
    await story.ask(
        "GET", "/api/devices/{device_id}/battery", query={"model": MODEL, "rate_hz": 1.0}, device_id="pi5-1"
    )


async def deployments(story, device):
    """Deploy to one device, and to several in waves that are steered."""
    best = {"device_ids": ["pi5-1"], "max_energy_mj": 5_000.0, "dry_run": True}
    await story.ask("POST", "/api/deploy/best", best)
    told = await story.ask("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": MODEL})
    command = await device.next_command("deploy")
    await device.ack(
        command.id, "succeeded", 1, result={"energy_mj": 20.5, "energy_source": "pmic", "latency_p95_ms": 9}
    )
    deployment = told["deployment_id"]

    async def over():
        return await story.running.phase(deployment) == "succeeded"

    await story.until(over)
    await story.ask("GET", "/api/deployments")
    await story.ask("GET", "/api/deployments/{deployment_id}", deployment_id=deployment)
    await story.ask("GET", "/api/ledger")
    second = await story.ask("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": SMALLER})
    command = await device.next_command("deploy")
    cancel = "/api/deployments/{deployment_id}/cancel"
    await story.ask("POST", cancel, deployment_id=second["deployment_id"])
    await device.ack(command.id, "cancelled", 1)
    await rollouts(story, device)


async def rollouts(story, device):
    """Let a rollout fail on its device, try again, and stop it."""
    wanted = {"model_name": SMALLER, "device_ids": ["pi5-1"], "waves": ["100%"]}
    rollout = (await story.ask("POST", "/api/rollouts", wanted))["rollout_id"]
    named = {"rollout_id": rollout}
    command = await device.next_command("deploy")
    for deed in ("pause", "resume"):
        await story.ask("POST", f"/api/rollouts/{{rollout_id}}/{deed}", {"reason": "look first"}, **named)
    await device.ack(command.id, "failed", 1, error=None, reason="it broke")

    async def broken():
        return (await story.running.get(f"/api/rollouts/{rollout}"))["rollout"]["counts"].get("failed") == 1

    await story.until(broken)
    await story.ask("GET", "/api/rollouts")
    await story.ask("GET", "/api/rollouts/{rollout_id}", **named)
    await story.ask("POST", "/api/rollouts/{rollout_id}/retry", **named)
    await story.ask("POST", "/api/rollouts/{rollout_id}/abort", {"reason": "not today"}, **named)


async def calibration(story):
    """Calibrate a device by what was measured on it."""
    begin = "/api/devices/{device_id}/calibrate"
    await story.ask("POST", begin, {"models": [SMALLER, MODEL]}, device_id="pi5-1")
    await story.ask("GET", "/api/devices/{device_id}/calibration", device_id="pi5-1")
    await story.ask("POST", f"{begin}/cancel", device_id="pi5-1")
    asked = [{"device_type": PI_5, "model_name": name} for name in (SMALLER, MODEL, "tinynet", "tinynet_l")]
    prior = [(await story.ask("POST", "/api/predict-energy", each))["data"]["energy_mj"] for each in asked]
    rows = [each | {"energy_mj": 3 * cost, "source": "pmic"} for each, cost in zip(asked, prior, strict=True)]
    await story.ask("POST", begin, {"rows": rows}, device_id="pi5-1")
    await story.ask("POST", f"{begin}/undo", device_id="pi5-1")


async def alerts(story, device):
    """Set a rule that a device breaks, see it, silence it."""
    await story.ask("PUT", "/api/alerts/rules/{name}", RULE, name="warm")
    await device.sample(3, temperature_c=50.0)

    async def firing():
        return (await story.running.get("/api/alerts", rule="warm"))["total"]

    await story.until(firing)
    await story.ask("GET", "/api/alerts", query={"rule": "warm"})
    await story.ask("POST", "/api/alerts/{alert_id}/ack", {"note": "a new fan is ordered"}, alert_id="warm@pi5-1")
    await story.ask("POST", "/api/alerts/{alert_id}/silence", {"for_s": 60.0}, alert_id="warm@pi5-1")
    made = await story.ask("POST", "/api/alerts/silences", {"for_s": 60.0, "device_id": "pi5-1", "why": "heat test"})
    await story.ask("GET", "/api/alerts/silences")
    await story.ask("DELETE", "/api/alerts/silences/{silence_id}", silence_id=str(made["silence"]["id"]))
    await story.ask("GET", "/api/alerts/rules")
    await story.ask("GET", "/api/alerts/rules/{name}", name="warm")
    await story.ask("POST", "/api/alerts/rules/preview", RULE)
    await story.ask("DELETE", "/api/alerts/rules/{name}", name="warm")


async def balena(story):
    """Look at boards at balena, and pin a release."""
    await story.ask("GET", "/api/balena/devices")
    await story.ask("GET", "/api/balena/releases")
    await story.ask("POST", "/api/balena/deploy", {"release_id": BETTER, "device_uuid": UUIDS[0]})
    await story.ask("GET", "/api/balena/devices/{uuid}/logs", uuid=UUIDS[0])


async def access(story):
    """Save a view, clear the log, enrol a device, and sign in."""
    await story.ask("PUT", "/api/views/{name}", {"query": {"health": "silent"}}, name="silent ones")
    await story.ask("GET", "/api/views")
    await story.ask("DELETE", "/api/views/{name}", name="silent ones")
    await story.ask("POST", "/api/logs/clear", {"reason": "a new season"})
    await story.ask("GET", "/api/logs/archives")
    await story.ask("GET", "/api/enroll/ca")
    await story.ask("POST", "/api/devices/{device_id}/enroll", {}, device_id="pi5-7")
    invited = await story.ask("POST", "/api/devices/{device_id}/enroll", {"token": True}, device_id="pi5-8")
    await story.ask("POST", "/api/enroll", {"token": invited["token"]})
    await story.ask("POST", "/api/devices/{device_id}/revoke", device_id="pi5-7")
    await story.ask("DELETE", "/api/devices/{device_id}", device_id="pi5-1")
    await story.ask("POST", "/api/tokens", {"name": "ci", "role": "viewer"})
    await story.ask("GET", "/api/tokens")
    await story.ask("DELETE", "/api/tokens/{name}", name="ci")


async def tell(folder):
    """Live through the story in `folder`; return the answers."""
    secret = make_security(folder).security.admin_token.read_text().strip()
    with fake_balena.serving() as cloud:
        more = {
            "worker": "waits",
            "listed": LISTED,
            "balena_api_url": cloud.url,
            "balena_fleet": SLUG,
            "balena_token": Token(TOKEN),
        }
        async with controller(folder, **more) as running, running.device() as device:
            running.http.headers["Authorization"] = f"Bearer {secret}"
            await device.join(**INFO)
            await running.until(lambda: running.knows(device.id))
            story = Story(running)
            await fleet(story, device)
            await models(story)
            await energy(story)
            await deployments(story, device)
            await calibration(story)
            await alerts(story, device)
            await balena(story)
            await access(story)
            return story.answers


SECRET = frozenset({"secret", "token", "password"})
LONGEST = 160


def shown(value, folder, name=""):
    """Return an answer as an example shows it: one of each list, nothing secret, nothing of this machine."""
    if isinstance(value, dict):
        return {key: shown(each, folder, key) for key, each in value.items()}
    if isinstance(value, list):
        return [shown(each, folder) for each in value[:1]]
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str):
        text = "…" if name in SECRET else re.sub(r"signature=[^&]+", "signature=…", value)
        text = re.sub(r"127\.0\.0\.1:\d{5}", "127.0.0.1:5000", text.replace(str(folder), "/var/lib/edgewatt"))
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return value


def record():
    """Write the answers of a story, but keep the examples that have the same shape."""
    with tempfile.TemporaryDirectory() as folder:
        told = shown(asyncio.run(tell(Path(folder))), folder)
    before = recorded() if RECORDED.exists() else {}
    kept = {name: before[name] for name in told if name in before and not any(differences(before[name], told[name]))}
    RECORDED.write_text(json.dumps(dict(sorted((told | kept).items())), ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    record()
