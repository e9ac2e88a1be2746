"""The workshop: one worker at a time in a process of its own, which may do anything but harm."""

import asyncio
import contextlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from broker.errors import ConflictError, NotFoundError
from controller.models.store import ArtifactStore
from controller.storage.store import Store
from controller.workshop import workshop as module
from controller.workshop.jobs import FOR_DEPLOYMENTS, Begun, Job, JobState, Order, Source, step
from controller.workshop.process import Limits
from controller.workshop.records import Jobs
from controller.workshop.workshop import Workshop, versions

FAKE = str(Path(__file__).with_name("fake_worker.py"))
WITHIN_S = 60
AMPLE = Limits(timeout_s=WITHIN_S, memory_mb=4_000)


def order(model="tiny", **changes):
    source = Source(kind="timm", name=model, pretrained=False)
    return Order(**({"model": model, "format": "onnx", "variant": "fp32", "source": source} | changes))


def shop_in(folder, *, does="makes", limits=AMPLE):
    store = Store(folder / "controller.db")
    return Workshop(
        store=store,
        jobs=Jobs(store),
        artifacts=ArtifactStore(folder / "artifacts"),
        folder=folder / "workshop",
        limits=limits,
        worker=(FAKE, does),
    )


@contextlib.asynccontextmanager
async def open_shop(folder, **more):
    shop = shop_in(folder, **more)
    running = asyncio.create_task(shop.run())
    try:
        yield shop
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        shop.store.close()


async def ended(shop, job):
    async with asyncio.timeout(WITHIN_S):
        return await shop.end_of(job.id)


async def until(condition):
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - what a process of its own does sends no event
            await asyncio.sleep(0.01)


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_what_a_worker_makes_is_verified_and_in_the_store(tmp_path):
    async with open_shop(tmp_path) as shop:
        done = await ended(shop, shop.ask(order(), "cli"))
        found = shop.artifacts.find("tiny")
        events = shop.store.events(kind="job", oldest_first=True)

    assert done.state is JobState.DONE
    assert done.sha256 == found.sha256
    assert found.about.made_by == {"fake": "1"}
    assert [event["facts"]["state"] for event in events] == ["queued", "running", "done"]
    assert events[0]["who"] == "cli"
    assert list((tmp_path / "workshop").iterdir()) == []


async def test_progress_is_told_in_words_while_it_works(tmp_path):
    async with open_shop(tmp_path, does="waits") as shop:
        job = shop.ask(order(), "cli")
        await until(lambda: shop.known(job.id).step == "waiting to be let go")
        halfway = shop.known(job.id)
        (tmp_path / "go").touch()
        done = await ended(shop, job)

    assert (halfway.state, halfway.progress) == (JobState.RUNNING, 0.5)
    assert done.state is JobState.DONE


@pytest.mark.parametrize(
    ("does", "code", "says"),
    [
        ("is_killed", "worker_died", "was killed by SIGKILL without a result: the last words"),
        ("claims_a_file", "bad_result", "a file that is not there"),
        ("claims_a_file_elsewhere", "bad_result", "a file that is not there"),
        ("makes_half_a_file", "bad_artifact", "truncated"),
        ("makes_another", "bad_result", "'another', not tiny"),
        ("says_nonsense_of_it", "bad_result", "int3"),
        ("fills_the_disk", "disk_full", "the disk is full"),
        ("cannot", "unsupported_operator", "aten::strange"),
        ("no_such_behaviour", "worker_died", "ended with code 1"),
    ],
)
async def test_whatever_goes_wrong_is_a_sentence_and_leaves_nothing_half_done(tmp_path, does, code, says):
    async with open_shop(tmp_path, does=does) as shop:
        failed = await ended(shop, shop.ask(order(), "cli"))

    assert (failed.state, failed.code) == (JobState.FAILED, code)
    assert says in failed.message
    assert failed.hint
    assert shop.artifacts.all() == []
    assert list((tmp_path / "workshop").iterdir()) == []


async def test_a_machine_that_can_start_nothing_fails_the_job_and_not_the_controller(tmp_path, monkeypatch):
    monkeypatch.setattr("controller.workshop.process.sys.executable", str(tmp_path / "no-such-interpreter"))
    async with open_shop(tmp_path) as shop:
        failed = await ended(shop, shop.ask(order(), "cli"))

    assert failed.code == "worker_died"
    assert "No such file" in failed.message


async def test_garbage_is_tolerated_and_the_first_end_counts(tmp_path, caplog):
    async with open_shop(tmp_path, does="babbles") as shop:
        done = await ended(shop, shop.ask(order(), "cli"))

    assert done.state is JobState.DONE
    assert re.search(r"said \d lines that are none, and 1 too long", caplog.text)


async def test_a_worker_that_never_ends_is_ended(tmp_path):
    async with open_shop(tmp_path, does="hangs", limits=replace(AMPLE, timeout_s=1.0)) as shop:
        failed = await ended(shop, shop.ask(order(), "cli"))

    assert (failed.code, failed.lasting) == ("timed_out", False)
    assert "not done after 1 s" in failed.message


async def test_a_worker_that_takes_all_memory_ends_at_its_limit(tmp_path):
    async with open_shop(tmp_path, does="takes_all_memory", limits=replace(AMPLE, memory_mb=500)) as shop:
        failed = await ended(shop, shop.ask(order(), "cli"))

    assert failed.code == "worker_died"
    assert "MemoryError" in failed.message


async def test_cancelling_ends_the_whole_group_even_one_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("controller.workshop.process.POLITE_S", 0.3)
    async with open_shop(tmp_path, does="ignores_sigterm") as shop:
        job = shop.ask(order(), "cli")
        await until(lambda: shop.known(job.id).step.startswith("pids"))
        pids = shop.known(job.id).step.split()[1:]
        cancelled = shop.cancel(job.id, "cli")
        await until(lambda: all(map(gone, pids)))
        with pytest.raises(ConflictError):
            shop.cancel(job.id, "cli")

    assert (cancelled.state, cancelled.message) == (JobState.CANCELLED, "cancelled by cli")


async def test_the_same_job_asked_twice_is_one_job_and_others_wait_their_turn(tmp_path):
    async with open_shop(tmp_path, does="waits") as shop:
        first, second = shop.ask(order(), "cli"), shop.ask(order("tiny2"), "cli")
        again = shop.ask(order(), "rest")
        await until(lambda: shop.known(first.id).state is JobState.RUNNING)
        waiting = shop.known(second.id).state
        (tmp_path / "go").touch()
        ends = [await ended(shop, each) for each in (first, second)]

    assert again.id == first.id
    assert waiting is JobState.QUEUED
    assert [each.state for each in ends] == [JobState.DONE, JobState.DONE]


async def test_a_lasting_reason_is_remembered_until_the_converters_change(tmp_path, monkeypatch):
    async with open_shop(tmp_path, does="cannot") as shop:
        failed = await ended(shop, shop.ask(order(), "cli"))
        remembered = shop.ask(order(), "cli")
        tried_again = await ended(shop, shop.ask(order(), "cli", again=True))
        monkeypatch.setattr(module, "versions", lambda: versions() | {"timm": "99"})
        with_newer = shop.ask(order(), "cli")

    assert remembered == failed
    assert tried_again.id != failed.id
    assert with_newer.state is JobState.QUEUED


async def test_a_hub_that_is_away_is_asked_again(tmp_path):
    async with open_shop(tmp_path, does="has_no_hub") as shop:
        failed = await ended(shop, shop.ask(order(), "cli"))

        assert failed.code == "hub_unreachable"
        assert shop.ask(order(), "cli").id != failed.id


async def test_a_person_takes_over_what_only_deployments_needed(tmp_path):
    async with open_shop(tmp_path, does="hangs") as shop:
        job = shop.ask(order(), FOR_DEPLOYMENTS)
        taken = shop.ask(order(), "cli")
        kept = shop.ask(order(), FOR_DEPLOYMENTS)

    assert (taken.id, taken.who, kept.who) == (job.id, "cli", "cli")


async def test_a_polite_stop_puts_the_job_back_and_the_next_life_makes_it(tmp_path):
    async with open_shop(tmp_path, does="hangs") as shop:
        job = shop.ask(order(), "cli")
        await until(lambda: shop.known(job.id).step == "thinking")
    async with open_shop(tmp_path) as next_life:
        done = await ended(next_life, job)

    assert (done.state, done.attempt) == (JobState.DONE, 1)


async def test_what_a_killed_controller_left_is_queued_again_and_at_last_given_up(tmp_path):
    shop = shop_in(tmp_path)
    killed_once = step(Job(id="j1", order=order("once"), who="cli", created_at=1.0), Begun(versions={}), 2.0)
    killed_twice = replace(killed_once, id="j2", order=order("twice"), attempt=2)
    for each in (killed_once, killed_twice):
        shop.jobs.put(each)
    (tmp_path / "workshop" / "left over").mkdir(parents=True)
    shop.store.close()

    async with open_shop(tmp_path) as next_life:
        done, given_up = [await ended(next_life, each) for each in (killed_once, killed_twice)]

    assert (done.state, done.attempt) == (JobState.DONE, 2)
    assert (given_up.state, given_up.code) == (JobState.FAILED, "interrupted")
    assert list((tmp_path / "workshop").iterdir()) == []


async def test_a_job_that_nobody_knows_is_not_found(tmp_path):
    async with open_shop(tmp_path) as shop:
        with pytest.raises(NotFoundError):
            shop.known("nonsense")


async def test_jobs_are_found_by_model_and_state(tmp_path):
    async with open_shop(tmp_path) as shop:
        done = await ended(shop, shop.ask(order(), "cli"))
        await ended(shop, shop.ask(order("tiny2"), "cli"))

        assert shop.jobs.find(model="tiny") == [done]
        assert [each.order.model for each in shop.jobs.find(state="done", limit=1, offset=1)] == ["tiny"]
        assert (shop.jobs.count(), shop.jobs.count(state="failed")) == (2, 0)
        assert shop.jobs.maker(done.sha256) == done
