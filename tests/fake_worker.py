"""A worker of the workshop that does what its first argument says; what it makes are small real networks."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import onnx

from broker.metadata import append
from controller.models.manifest import About
from tests.tiny_models import slow_model, tiny_model
from tests.tiny_tflite import tiny_tflite

FOR_EVER_S = 3_600


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def make(request, content=None, **about):
    path = Path(request["out"]) / f"{request['model']}.{request['format']}"
    if content is None and request["format"] == "tflite":
        path.write_bytes(tiny_tflite())
        append(path, {"edgewatt.model": request["model"]})
    else:
        path.write_bytes(tiny_model(request["model"]) if content is None else content)
    known = About(variant=request["variant"], made_by={"fake": "1"}, **about)
    say(result={"path": str(path), "about": asdict(known)})


def makes(request):
    say(progress=0.2, step="building the network")
    say(progress=0.7, step="exporting")
    make(request)


def makes_a_large_one(request):
    large = onnx.load_from_string(slow_model())
    onnx.helper.set_model_props(large, {"edgewatt.model": request["model"]})
    make(request, large.SerializeToString())


def waits(request):
    """Make it as soon as somebody puts the file `go` beside the workshop's folder; says so first."""
    say(progress=0.5, step="waiting to be let go")
    while not (Path(request["out"]).parents[2] / "go").exists():
        time.sleep(0.01)
    make(request)


def hangs(_request):
    say(progress=0.1, step="thinking")
    time.sleep(FOR_EVER_S)


def ignores_sigterm(_request):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({FOR_EVER_S})"])
    say(progress=0.1, step=f"pids {os.getpid()} {child.pid}")
    time.sleep(FOR_EVER_S)


def is_killed(_request):
    say(progress=0.5, step="exporting")
    sys.stderr.write("the last words\n")
    os.kill(os.getpid(), signal.SIGKILL)


def takes_all_memory(_request):
    hoard = []
    while True:
        hoard.append(bytearray(50_000_000))


def babbles(request):
    sys.stdout.buffer.write(b"\xff\xfe no json\n[1]\n{}\nnull\n" + b"x" * 5_000_000 + b"\n")
    say(progress="much", step="?")
    say(progress=7, step="?")
    say(result="here")
    say(progress=0.9, step="after all that")
    make(request)
    say(error={"code": "golden_mismatch", "message": "too late to matter"})


def claims_a_file(request):
    say(result={"path": str(Path(request["out"]) / "none.onnx"), "about": {"variant": request["variant"]}})


def claims_a_file_elsewhere(request):
    say(result={"path": "/etc/hostname", "about": {"variant": request["variant"]}})


def makes_half_a_file(request):
    whole = tiny_model(request["model"])
    make(request, whole[: len(whole) // 2])


def makes_another(request):
    make(request, tiny_model("another"))


def says_nonsense_of_it(request):
    path = Path(request["out"]) / "m.onnx"
    path.write_bytes(tiny_model(request["model"]))
    say(result={"path": str(path), "about": {"variant": "int3"}})


def fills_the_disk(_request):
    say(error={"code": "disk_full", "message": "the disk is full", "hint": "free some space"})
    sys.exit(1)


def cannot(_request):
    say(error={"code": "unsupported_operator", "message": "aten::strange cannot be converted", "hint": "try onnx"})
    sys.exit(1)


def cannot_as_tflite(request):
    if request["format"] == "tflite":
        cannot(request)
    make(request)


def has_no_hub(_request):
    say(error={"code": "hub_unreachable", "message": "the hub cannot be reached", "hint": "is there a network?"})
    sys.exit(1)


def has_no_torch(_request):
    say(
        error={"code": "extra_missing", "message": "the workshop needs torch", "hint": "pip install 'edgewatt[models]'"}
    )
    sys.exit(1)


def knows_no_such(_request):
    say(error={"code": "unknown_model", "message": "timm has no such network", "hint": "did you mean resnet18?"})
    sys.exit(1)


if __name__ == "__main__":
    globals()[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text()))
