"""A controller that only speaks REST: a real HTTP server over a fleet of documents, remembering every write.

Run it by hand: `python -m tests.dashboard.fake_controller --devices 5 --port 5000`.
"""

import argparse
import json
import re
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from difflib import get_close_matches
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from controller.gate import Alternative, decide
from controller.logs import CAUSES, SAYS
from controller.outcomes import tally
from controller.predict.prediction import Prediction
from controller.times import moment
from tests.dashboard import fake_advice, fake_alerts, fake_fleet
from tests.device_list import matches, ordered

LIFE = ("requested", "predicted", "gated", "resolving", "ready", "queued", "sent", "accepted", "downloading")
LIFE += ("verifying", "staged", "loading", "probing", "active", "soaking", "succeeded")
HEALTHS = ("live", "late", "silent", "asleep", "offline", "never_seen")
ENDED = {"succeeded", "refused", "failed", "rolled_back", "cancelled"}


class FakeController:
    """Start with `with`; change `devices` and `deployments`, read `writes`, at any time."""

    def __init__(self, count=5, seed=0, port=0):
        self.devices = fake_fleet.fleet(count, seed)
        self.models = fake_fleet.models()
        self.listed, self.versions = fake_fleet.listed(), {}
        self.writes = []
        self.tokens = {}  # of whoever has to sign in: by secret the name and the role
        self.acts_for_others = True
        self.asked_for = []  # whom the dashboard's own token named, and with which role
        self.views = {}
        self.alerts = []
        self.booked = 5
        self.open_sockets = []
        self.started_at = time.time() - 9_000
        self.logs = [
            {"id": n, "at": time.time() - 9_000, "type": "log", "who": each["id"], "device_id": each["id"]}
            | {"facts": {"level": "info"}, "text": "model ready", "phase": None, "deployment_id": None, "reason": None}
            for n, each in enumerate(self.devices[:5])
        ][::-1]
        self.deployments = []
        for index, each in enumerate(self.devices[:60]):
            if each["active"]:
                self._lived(each, "digits_cnn_s", 3_600 + 120 * index)
        if len(self.devices) > 3:
            self._lived(self.devices[3], "digits_cnn_l", 1_200, end="rolled_back", reason=ROLLED_BACK)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End as a killed process does: open connections too; once more does nothing."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for each in self.open_sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def add_long_names(self, text="a-very-long-name-" * 12):
        """Add a device, a model, a deployment and alerts that are called `text`, as far as 200 characters."""
        name = text[:200]
        self.devices.append(fake_fleet.device(name, name, {"line": name}, model="digits_cnn_s"))
        self.models.append(self.models[0] | {"name": name, "source": name})
        self.add(self.devices[-1], name, events=[{"at": time.time(), "phase": "failed", "reason": name}])
        self.alerts += [fake_alerts.alert("too-hot", name, 83.4), fake_alerts.alert("battery-low", name, 14.0, fired=4)]

    def find(self, device_id):
        return next((each for each in self.devices if each["id"] == device_id), None)

    def _lived(self, device, model, age_s, end="succeeded", reason=""):
        start = time.time() - age_s
        phases = [*LIFE[:-1], end] if end == "succeeded" else [*LIFE[:-2], "rolling_back", end]
        events = [
            {"at": start + 1.3 * step, "phase": phase, "reason": reason if phase in ENDED else "", "who": "controller"}
            | {"facts": {"attempt": 1, "seq": step}}
            for step, phase in enumerate(phases)
        ]
        energy = device["latest"]["energy"]["energy_mj"] if device["latest"] else 5.0
        self.add(device, model, events=events, result={"energy_mj": energy, "energy_source": "simulated"})

    def add(self, device, model, *, events, budget_mj=None, result=None, forced_reason=None, verdict=None):
        forecast = fake_fleet.predicted(model, device["device_type"]) or {}
        last = events[-1]
        made = {
            "id": f"dep-{len(self.deployments):04d}-{device['id'][:20]}",
            "device_id": device["id"],
            "model": model,
            "phase": last["phase"],
            "terminal": last["phase"] in ENDED,
            "reason": last["reason"],
            "code": "over_budget" if last["phase"] in {"refused", "rolled_back"} else "",
            "since": last["at"],
            "created_at": events[0]["at"],
            "attempt": 1,
            "origin": "dashboard",
            "budget_mj": budget_mj,
            "predicted": forecast | {"basis": "architecture", "category": "GOOD"},
            "verdict": verdict,
            "forced_reason": forced_reason,
            "gen": 3,
            "artifact_sha256": fake_fleet.sha(model),
            "result": result,
            "progress": None,
            "events": events,
        }
        self.deployments.insert(0, made)
        said = {"id": len(self.logs), "at": last["at"], "type": "deployment", "who": made["origin"], "facts": {}}
        said |= {"device_id": device["id"], "deployment_id": made["id"], "phase": last["phase"]}
        said |= {"text": f"{model} on {device['id']}: {last['phase']}", "reason": last["reason"] or None}
        self.logs.insert(0, said)
        return made

    def gate(self, device, model, budget_mj, policy, forced_reason):
        forecast = fake_fleet.predicted(model, device["device_type"])
        known = forecast and Prediction(
            basis="architecture", category="GOOD", recommendation="", mape_pct=None, reasons=(), **forecast
        )
        others = [(m, fake_fleet.predicted(m["name"], device["device_type"])) for m in self.models]
        fits = [
            Alternative(model=m["name"], energy_mj=p["energy_mj"], high_mj=p["high_mj"], top1_pct=m["top1_pct"])
            for m, p in others
        ]
        verdict = decide(
            model=model,
            device_type=device["device_type"],
            device_id=device["id"],
            prediction=known,
            budget_mj=budget_mj,
            policy=policy or "strict",
            forced_reason=forced_reason,
            fits=fits,
        )
        return asdict(verdict) | {"sentence": verdict.sentence}


ROLLED_BACK = "simulated 96 mJ per inference, above the budget of 80 mJ; back on digits_cnn_s"


def status(fake, **_):
    counts = {health: sum(1 for each in fake.devices if each["health"] == health) for health in HEALTHS}
    opened = sum(1 for each in fake.deployments if not each["terminal"])
    now = time.time()
    return 200, {
        "controller": {"epoch": "e1", "version": "0.1.0", "started_at": fake.started_at, "uptime_s": 9_000.0},
        "broker": {"connected": True, "url": "mqtt://127.0.0.1:1883", "since": fake.started_at},
        "devices": {"total": len(fake.devices)} | counts,
        "messages": {"received": 48_211, "refused": {"malformed": 3}, "last_at": now - 1.2, "last_age_s": 1.2},
        "deployments": {"open": opened, "succeeded": 4, "refused": 1, "failed": 0},
        "alerts": fake_alerts.counts(fake),
        "artifact_base_url": fake.url,
        "data_dir": "/var/lib/edgewatt",
    }


def refused(_fake, **_):
    entry = {"at": time.time() - 40, "topic": "device/pi4-1/ack", "payload": '{"v":1,"ts":', "code": "malformed"}
    return 200, {"counts": {"malformed": 3}, "messages": [entry | {"error": "not JSON: ends early"}]}


def devices(fake, *, limit="100", offset="0", sort="id", **asked):
    wanted = {name: asked[name] for name in ("q", "health", "tag", "device_type", "model") if asked.get(name)}
    found = ordered(
        [each for each in fake.devices if matches(each | {"runs": (each["active"] or {}).get("model")}, **wanted)], sort
    )
    return 200, {"total": len(found), "devices": found[int(offset) : int(offset) + int(limit)]}


def courses(fake, *, device_id, **_):
    found, now = {}, time.time()
    for each in [device_id] if isinstance(device_id, str) else device_id:
        past, _ = fake_fleet.series(fake.find(each), 15, 30, now)
        found[each] = {name: [bucket[name]["mean"] for bucket in past] for name in ("latency_p95_ms", "energy_mj")}
    return 200, {"courses": found}


def saved_views(fake, **_):
    return 200, {"views": [{"name": name, "query": query} for name, query in fake.views.items()]}


def save_view(fake, name, *, body, **_):
    fake.views[name] = body["query"]
    return 200, {"name": name}


def remove_view(fake, name, **_):
    fake.views.pop(name)
    return 200, {"name": name}


def device(fake, device_id, **_):
    found = fake.find(device_id)
    if found is None:
        near = ", ".join(each["id"] for each in fake.devices[:3])
        return 404, {"error": f"no device {device_id}", "code": "not_found", "hint": f"nearest: {near}"}
    now = time.time()
    topic = f"device/{device_id}/telemetry"
    messages = [{"at": now - 5 * n, "topic": topic, "payload": json.dumps(found["latest"])} for n in range(10)]
    broken = [{"at": now - 40, "topic": topic, "payload": '{"v":1,"ts":', "error": "not JSON: ends early"}]
    return 200, {
        "device": found
        | {
            "info": {"device_type": found["device_type"], "board": found["board"], "cpu": "Cortex-A76", "cpu_count": 4}
            | {"ram_mb": 4096, "os": "Debian 12", "arch": "aarch64", "power_sensor": None}
            | found.get("info", {}),
            "state": {"rev": 8, "phase": "running"},
            "status": {"online": found["health"] != "offline", "session": f"{device_id}-7", "interval_s": 5},
            "messages": {"telemetry": messages, "ack": broken},
            "deployments": [each for each in fake.deployments if each["device_id"] == device_id][:20],
            "logs": [{"at": now - 60, "type": "log", "facts": {"level": "info"}, "text": "model ready"}],
        }
    }


def telemetry(fake, device_id, *, minutes="15", points="300", **_):
    found, now = fake.find(device_id), time.time()
    rows, bucket = fake_fleet.series(found, float(minutes), int(points), now)
    marks = [
        {"id": each["id"], "ts": each["created_at"], "model": each["model"], "phase": each["phase"]}
        for each in fake.deployments
        if each["device_id"] == device_id and each["created_at"] > now - float(minutes) * 60
    ]
    body = {"device_id": device_id, "bucket_s": bucket, "since": now - float(minutes) * 60, "until": now}
    return 200, body | {"series": rows, "deployments": marks}


def deploy(fake, body, **_):
    found = fake.find(body["device_id"])
    if found is None:
        return 404, {
            "error": f"no device {body['device_id']}",
            "code": "not_found",
            "hint": "see edgewatt devices list",
        }
    model, budget = body["model_name"], body.get("max_energy_mj")
    reason = body.get("reason") if body.get("force") else None
    verdict = fake.gate(found, model, budget, body.get("policy"), reason)
    if body.get("dry_run"):
        return 200, {"dry_run": True, "verdict": verdict}
    phase = "sent" if verdict["allowed"] else "refused"
    events = [{"at": time.time(), "phase": phase, "reason": "" if phase == "sent" else verdict["sentence"]}]
    events[0] |= {"who": "controller", "facts": {"attempt": 1, "seq": 0}}
    made = fake.add(found, model, events=events, budget_mj=budget, forced_reason=reason, verdict=verdict)
    if not verdict["allowed"]:
        said = {"error": verdict["sentence"], "code": verdict["code"], "hint": "lower the model or raise the budget"}
        return 409, said | {"verdict": verdict, "deployment_id": made["id"]}
    return 202, {"message": "accepted", "deployment_id": made["id"], "verdict": verdict, "timestamp": time.time()}


def rollout_plan(fake, body, **_):
    boards, out = {}, []
    for device_id in body["device_ids"]:
        found = fake.find(device_id)
        verdict = fake.gate(found, body["model_name"], body.get("max_energy_mj"), body.get("policy"), None)
        board = boards.setdefault(found["device_type"], verdict | {"device_type": found["device_type"], "devices": 0})
        board["devices"] += 1
        out += [] if verdict["allowed"] else [device_id]
    return 200, {"plan": {"boards": list(boards.values()), "excluded_ids": out}}


def deployments(fake, *, device_id="", limit="100", offset="0", **query):
    only_open = query.get("open") == "true"
    found = [
        each
        for each in fake.deployments
        if (not device_id or each["device_id"] == device_id) and not (only_open and each["terminal"])
    ]
    ended = tally(Counter(each["phase"] for each in found)).document
    return 200, {"total": len(found), "summary": ended, "deployments": found[int(offset) : int(offset) + int(limit)]}


def deployment(fake, deployment_id, **_):
    for each in fake.deployments:
        if each["id"] == deployment_id:
            return 200, {"deployment": each}
    return 404, {"error": f"no deployment {deployment_id}", "code": "not_found", "hint": "see edgewatt deployments"}


def models(fake, *, q="", limit="100", offset="0", device_type="", sort="", **wanted):
    found = [
        each
        for each in fake.models + fake.listed
        if q.lower() in each["name"].lower()
        and wanted.get("family") in (None, each["family"])
        and wanted.get("stored") in (None, str(each["stored"]).lower())
        and wanted.get("popular") in (None, str(each["popular"]).lower())
    ]
    if sort == "top1_pct":
        found.sort(key=lambda each: -(each["top1_pct"] or 0))
    page = found[int(offset) : int(offset) + int(limit)]
    if device_type:
        page = [each | {"prediction": fake_fleet.predicted(each["name"], device_type)} for each in page]
    return 200, {"total": len(found), "models": page, "families": {"mobilenetv3": 1, "resnet": 2}}


def model(fake, name, **_):
    found = {each["name"]: each for each in fake.models + fake.listed}
    if name not in found:
        near = ", ".join(get_close_matches(name, found, cutoff=0.4))
        return 404, {"error": f"no model '{name}'", "code": "unknown_model", "hint": f"did you mean {near}?"}
    return 200, {"model": found[name]}


def versions(fake, name, **_):
    if name not in fake.versions:
        return 404, {"error": f"'{name}' is not in the store", "code": "no_artifact", "hint": ""}
    return 200, fake.versions[name]


def promote(fake, body, **_):
    known = fake.versions[body["model_name"]]
    chosen = body.get("version")
    if chosen and chosen.startswith("bad"):
        return 409, {
            "error": "bad0 may not be promoted: its content is damaged",
            "code": "unverified",
            "hint": "add it",
        }
    if not body.get("dry_run"):
        for each in known["versions"]:
            each["promoted"] = each["sha256"] == chosen
    sentence = f"{body['model_name']} means version {chosen}, no longer its newest files; no device is changed by that"
    return 200, {"success": True, "changed": True, "promoted_sha256": chosen, "sentence": sentence}


def recommended(fake, *, device_type="", **_):
    rows = [each | {"prediction": fake_fleet.predicted(each["name"], device_type)} for each in fake.models]
    return 200, {"models": rows}


def logs(fake, *, limit="100", type="", q="", cursor="", after="", **asked):  # noqa: A002 - the query's name
    first, last, around = (moment(asked.get(name, ""), time.time()) for name in ("since", "until", "at"))
    first, last = (around - 300, around + 300) if around else (first or 0, last or 9e9)
    found = [
        each
        for each in fake.logs
        if type in {"", each["type"]}
        and asked.get("device_id") in {None, each["device_id"]}
        and asked.get("who") in {None, each["who"]}
        and asked.get("rollout_id") in {None, (each.get("facts") or {}).get("rollout_id")}
        and first <= each["at"] < last
        and all(word in json.dumps(each).lower() for word in q.lower().split())
        and each["id"] < int(cursor or 10**9)
        and each["id"] > int(after or -1)
    ]
    page = found[::-1] if after else found
    more = str(page[int(limit) - 1]["id"]) if len(page) > int(limit) and not after else None
    return 200, {"logs": page[: int(limit)], "next_cursor": more}


def kinds(*_, **__):
    told = [{"type": kind, "says": says} for kind, says in SAYS.items()]
    return 200, {"kinds": told, "who": [{"who": who, "says": says} for who, says in CAUSES.items()]}


def archives(fake, **_):
    file = {"name": "events-20271101T000000Z-1-9-9.jsonl.gz", "made_at": 1.8e9, "events": 9, "size": 2_345}
    stream = {"events": len(fake.logs), "first_at": 1.8e9, "last_at": 1.8e9}
    return 200, {"stream": stream, "archives": [file | {"kept_until": 1.83e9}]}


def clear(fake, **_):
    removed, fake.logs = len(fake.logs), []
    return 200, {"archived_to": "events-1.jsonl.gz" if removed else None, "removed": removed, "kept_until": 1.83e9}


def accept(fake, *_, **__):
    return 202, {"command_id": f"cmd-{len(fake.writes)}", "message": "accepted"}


def forget(fake, device_id, **_):
    fake.devices = [each for each in fake.devices if each["id"] != device_id]
    return 200, {}


def whoami(who, headers):
    name, role = who or ("", "admin")
    told = {"name": headers.get("X-EdgeWatt-User") or name, "role": headers.get("X-EdgeWatt-Role") or role}
    return 200, told | {"signed_in": who is not None, "expires_at": None, "via": None, "access_required": bool(who)}


ROUTES = [
    ("GET", r"/livez|/readyz", lambda *_, **__: (200, {})),
    ("GET", r"/api/status", status),
    ("GET", r"/api/devices|/api/export/devices", devices),
    ("GET", r"/api/telemetry/courses", courses),
    ("GET", r"/api/views", saved_views),
    ("PUT", r"/api/views/([^/]+)", save_view),
    ("DELETE", r"/api/views/([^/]+)", remove_view),
    ("GET", r"/api/devices/([^/]+)", device),
    ("GET", r"/api/devices/([^/]+)/telemetry", telemetry),
    ("DELETE", r"/api/devices/([^/]+)", forget),
    ("POST", r"/api/devices/([^/]+)/(?:command|approve)", accept),
    ("POST", r"/api/deploy", deploy),
    ("POST", r"/api/rollouts", rollout_plan),
    ("GET", r"/api/deployments", deployments),
    ("GET", r"/api/deployments/([^/]+)", deployment),
    ("POST", r"/api/deployments/([^/]+)/cancel", accept),
    ("GET", r"/api/models/all", models),
    ("GET", r"/api/models/named/([^/]+)", model),
    ("GET", r"/api/models/recommended", recommended),
    ("POST", r"/api/device/(?:start|stop|rollback|benchmark)", accept),
    ("GET", r"/api/logs|/api/logs/export", logs),
    ("GET", r"/api/logs/kinds", kinds),
    ("GET", r"/api/logs/archives", archives),
    ("GET", r"/api/models/named/([^/]+)/versions", versions),
    ("POST", r"/api/models/promote", promote),
    ("POST", r"/api/logs/clear|/api/models/archive", clear),
    ("GET", r"/api/messages/refused", refused),
    *fake_advice.ROUTES,
    *fake_alerts.ROUTES,
]


def _handler(fake):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            fake.open_sockets.append(self.connection)

        def _serve(self):
            url = urlsplit(self.path)
            query = {key: each[0] if len(each) == 1 else each for key, each in parse_qs(url.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.command != "GET":
                fake.writes.append((self.command, unquote(url.path), body))
            fake.asked_for.append((self.headers["X-EdgeWatt-User"], self.headers["X-EdgeWatt-Role"]))
            who = fake.tokens.get((self.headers["Authorization"] or "").removeprefix("Bearer "))
            if fake.tokens and who is None:
                code, document = 401, {"error": "this token is unknown", "code": "not_signed_in", "hint": ""}
            elif url.path == "/api/whoami":
                code, document = whoami(who, self.headers if fake.acts_for_others else {})
            else:
                code, document = self._answer(url.path, query, body)
            payload = json.dumps({"success": code < 400} | document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names http.server calls

        def _answer(self, path, query, body):
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, path) if method == self.command else None
                if match:
                    arguments = [unquote(each) for each in match.groups()]
                    return answer(fake, *arguments, **query, **({"body": body} if body is not None else {}))
            return 404, {"error": f"no such path: {path}", "code": "not_found", "hint": ""}

        def log_message(self, *_):
            pass

    return Handler


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=5)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", nargs=3, metavar=("SECRET", "NAME", "ROLE"), action="append", default=[])
    parser.add_argument("--empty", action="store_true", help="no device and no model")
    parser.add_argument("--long-names", action="store_true", help="a device and a model of 200 characters besides")
    given = parser.parse_args()
    with FakeController(count=0 if given.empty else given.devices, port=given.port) as running:
        running.tokens = {secret: (name, role) for secret, name, role in given.token}
        if given.empty:
            running.models, running.listed = [], []
        if given.long_names:
            running.add_long_names()
        print(running.url, flush=True)  # noqa: T201 - the caller reads the address from here
        threading.Event().wait()
