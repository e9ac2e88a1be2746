"""The fleet's own measurements make a new predictor for a type of board, and there is a way back."""

import pytest

from controller.cli.app import run
from controller.feedback.ledger import Entry
from controller.models.graph import Net, Tensor
from tests.calibrating import PI_5, predicted
from tests.controlling import controller

WIDTHS = (0.25, 0.375, 0.5, 0.75, 1.0, 1.25)
BLACK = "beaglebone_black"


def network(name, width, side=96):
    net = Net(name, seed=1)
    last = net.mobilenet_v1(Tensor(name="image", channels=3, side=side), width=width)[-1]
    features = net.pool(last, cells=1)
    weight = net.draw("readout", (10, last.channels), last.channels)
    net.add("Gemm", [features, weight], "output", transB=1)
    return net.model((1, 3, side, side), (1, 10), {"edgewatt.trained": "false"}).SerializeToString()


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path / "data") as whole:
        for width in WIDTHS:
            path = tmp_path / f"net_{width}.onnx"
            path.write_bytes(network(path.stem, width))
            whole.parts.catalogue.add(path)
        yield whole


async def measured(
    running, factor, *, device_type=PI_5, devices=("pi5-7",), source="pmic", simulated=False, widths=WIDTHS
):
    """Enter what `devices` measured: `factor` times what is predicted for a Raspberry Pi 5 now."""
    names = [f"net_{width}" for width in widths]
    priors = [(await predicted(running, name, device_type=PI_5))["energy_mj"] for name in names]
    with running.parts.service.store.transaction():
        for device_id in devices:
            for name, energy_mj in zip(names, priors, strict=True):
                entry = Entry(
                    device_id=device_id,
                    device_type=device_type,
                    model=name,
                    actual_mj=energy_mj * factor,
                    source=source,
                    simulated=simulated,
                    at=running.parts.clock(),
                )
                running.parts.service.bookkeeping.book.add(entry)


def look(running, after_s=61.0):
    """Let a minute pass for the succession."""
    look.at = max(getattr(look, "at", 0.0), running.parts.clock()) + after_s
    with running.parts.service.store.transaction():
        running.parts.ingest.passing.succession.tick(look.at)


async def energy_mj(running, device_type=PI_5):
    return (await predicted(running, "net_0.5", device_type=device_type))["energy_mj"]


async def events(running):
    return [e["text"] for e in (await running.get("/api/logs", type="predictor"))["logs"]]


async def test_what_several_devices_measured_speaks_for_the_next_one_of_their_type(running):
    before = await energy_mj(running)
    await measured(running, 2.0, devices=("pi5-7", "pi5-8"))

    look(running)
    after = await predicted(running, "net_0.5", device_type=PI_5)

    assert after["energy_mj"] == pytest.approx(2 * before, rel=0.05)
    assert after["support"] == "proxy"
    assert after["predictor"] == "raspberry_pi_5@1+fleet"
    [told] = await events(running)
    assert "6 models measured on 2 raspberry_pi_5, error 50.0 % before" in told


async def test_the_shipped_one_can_be_chosen_again_and_stays(running):
    before = await energy_mj(running)
    await measured(running, 2.0)
    look(running)

    code = run(["predictors", "use", "shipped", "--controller-data", str(running.parts.data_dir), "--quiet"])
    look(running)
    look(running)

    assert code == 0
    assert await energy_mj(running) == before
    assert (await events(running))[0].startswith("predictor shipped answers, ")


async def test_it_outlives_the_controller(tmp_path, running):
    await measured(running, 2.0)
    look(running)
    learned = await energy_mj(running)

    async with controller(tmp_path / "data") as again:
        assert await energy_mj(again) == learned


async def test_a_board_of_which_nothing_is_known_learns_from_its_own_kind(running):
    assert await energy_mj(running, BLACK) is None
    await measured(running, 30.0, device_type=BLACK)

    look(running)
    answer = await predicted(running, "net_0.5", device_type=BLACK)

    assert answer["energy_mj"] == pytest.approx(30 * await energy_mj(running), rel=0.2)
    assert answer["low_mj"] < answer["energy_mj"] < answer["high_mj"]


@pytest.mark.parametrize(
    "untrue",
    [{"source": "model"}, {"source": "simulated", "simulated": True}, {"simulated": True}, {"widths": WIDTHS[:4]}],
)
async def test_what_was_not_measured_or_is_too_little_teaches_nothing(running, untrue):
    before = await energy_mj(running)
    await measured(running, 2.0, **untrue)

    look(running)

    assert await energy_mj(running) == before
    assert await events(running) == []


async def test_a_predictor_that_is_right_already_stays(running):
    await measured(running, 1.01)

    look(running)

    assert await events(running) == []


async def test_a_damaged_choice_is_named_and_the_one_before_goes_on(running):
    before = await energy_mj(running)
    await measured(running, 2.0)
    look(running)
    versions = running.parts.ingest.passing.succession.answering.versions
    chosen = versions.active
    versions.use("shipped")
    look(running)
    (versions.folder / chosen / "energy_predictor.json").write_text("{}")
    (versions.folder / "active").write_text(chosen)

    look(running)

    assert await energy_mj(running) == before
    assert "cannot answer" in (await events(running))[0]
