"""What a device's owner allows is known to the gate: it says no before anything is sent, in the device's own terms."""

import json

import pytest

from broker.messages import LocalPolicy
from broker.phases import Phase
from controller.cli.exits import Exit, of_deployments
from controller.limits import Limits
from tests.controlling import controller

MODEL = "digits_cnn_s"
LOCKED = "pi5-1 is locked by its owner and takes no deployment"


def test_each_rule_bars_in_words():
    def bars(signs=False, **policy):
        return Limits(device_id="pi5-1", policy=LocalPolicy(**policy)).bars(host="10.0.0.1", signs=signs)

    assert bars() is None
    assert bars(locked=True) == LOCKED
    assert bars(only_hosts=("store",)) == "pi5-1 takes files from store only, and ours come from 10.0.0.1"
    assert bars(only_hosts=("10.0.0.1",)) is None
    assert bars(signed=True) == "pi5-1 takes signed files only, and this controller has no key to sign with"
    assert bars(signed=True, signs=True) is None


@pytest.mark.parametrize("info", [None, {}, {"policy": None}, {"policy": {"locked": "perhaps"}}, {"policy": 7}])
def test_a_policy_that_cannot_be_read_is_left_to_the_device(info):
    assert Limits.of("pi5-1", info).policy == LocalPolicy()


async def test_a_locked_device_is_refused_the_same_by_rest_and_by_hand_and_nothing_forces_it(tmp_path):
    asked = {"device_id": "pi5-1", "model_name": MODEL, "force": True, "reason": "I want to"}
    async with controller(tmp_path) as whole, whole.joined(info={"policy": LocalPolicy(locked=True)}) as device:
        dry = (await whole.deploy(**asked, dry_run=True)).json()["verdict"]
        answer = await whole.deploy(**asked)
        async with whole.hub.link("a-person") as person:
            typed = json.dumps({"op": "deploy", "id": "by-hand", "model": MODEL}).encode()
            await person.publish("device/pi5-1/cmd", typed, qos=1)
        cancel = await device.next_command("cancel")

    assert (dry["allowed"], dry["verdict"], dry["sentence"]) == (False, "barred", LOCKED)
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (409, "local_policy", LOCKED)
    assert "policy.json" in answer.json()["hint"]
    assert (cancel.target, cancel.code, cancel.reason) == ("by-hand", "local_policy", LOCKED)


async def test_the_devices_own_energy_limit_counts_beside_the_budget(tmp_path):
    async with controller(tmp_path) as whole:
        async with whole.joined("pi5-2"):
            free = (await whole.deploy(device_id="pi5-2", model_name=MODEL, dry_run=True)).json()["verdict"]
        limit_mj = free["energy_mj"] * 0.5
        async with whole.joined(info={"policy": LocalPolicy(max_energy_mj=limit_mj)}) as device:
            over = (await whole.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=1e5)).json()
            own = (await whole.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=limit_mj / 2)).json()
            await device.join(policy=LocalPolicy(max_energy_mj=free["high_mj"] * 2))
            await whole.until(lambda: allows(whole, free["high_mj"] * 2))
            fits = await whole.deploy(device_id="pi5-1", model_name=MODEL)

    assert over["code"] == "local_policy"
    assert over["error"].startswith(
        f"pi5-1 allows {limit_mj:g} mJ per inference, a limit of its own; {MODEL} is predicted"
    )
    assert own["code"] == "over_budget"
    assert fits.status_code == 202


async def allows(whole, energy_mj):
    return whole.parts.service.known_device("pi5-1")["info"]["policy"]["max_energy_mj"] == energy_mj


async def test_a_device_that_wants_signatures_gets_them_or_is_refused(tmp_path):
    async with controller(tmp_path) as whole, whole.joined(info={"policy": LocalPolicy(signed=True)}):
        answer = await whole.deploy(device_id="pi5-1", model_name=MODEL)

    assert (answer.status_code, answer.json()["code"]) == (409, "local_policy")


def test_the_exit_code_is_that_of_a_refusal():
    assert of_deployments([Phase.REJECTED.value], ["local_policy"]) is Exit.REFUSED
