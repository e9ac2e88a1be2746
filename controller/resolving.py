"""Finds the file of a deployment, or has it made: from the gate to the outbox, over as many ticks as it takes."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from broker.commands import ArtifactRef
from broker.errors import ArtifactError, EdgeWattError
from broker.phases import Phase
from controller.access.urls import Urls
from controller.deployment import Deployment, Moved, Noted, Replaced
from controller.gate import Verdict
from controller.judge import Judge
from controller.lifecycle import Lifecycle
from controller.models.manifest import Artifact, signed_part
from controller.models.offer import wanted_formats
from controller.models.store import ArtifactStore
from controller.models.versions import SHORT
from controller.sleep import absence, asleep_until
from controller.storage.store import Row
from controller.workshop.endings import error_of
from controller.workshop.jobs import FOR_DEPLOYMENTS, Job, JobState
from controller.workshop.orders import Orders
from controller.workshop.workshop import Workshop

NO_FORMAT_HINT = "`edgewatt models list` shows the formats of each model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolving:
    """Looks at the facts each time, never at what it did before, so a controller that was killed simply goes on."""

    lifecycle: Lifecycle
    judge: Judge
    workshop: Workshop
    orders: Orders
    artifacts: ArtifactStore
    urls: Urls

    def begin(self, gated: Deployment, device: Row, offered: Artifact | None, at: float) -> Deployment:
        """Queue a deployment with the file that the gate was asked about, or let one be made; inside a transaction."""
        deployment = self.lifecycle.apply(gated, Moved(phase=Phase.RESOLVING), at)
        if offered is not None:
            return self._ready(deployment, device, offered, at, anew=False)
        return self._look(deployment, device, at)

    def go_on(self, at: float) -> None:
        """Look at every deployment whose file is being made, and give up what none waits for any more."""
        for deployment in self.lifecycle.deployments.resolving():
            device = self.lifecycle.store.device(deployment.device_id)
            if device is not None:
                self._look(deployment, device, at)
        self._give_up({each.job_id for each in self.lifecycle.deployments.resolving()})

    def renew(self, sent: Deployment, gen: int, at: float) -> None:
        """Offer `sent` again under `gen`: its device was further than we knew, and would take ours for an old one."""
        held = next(
            (each for each in self.artifacts.all() if sent.artifact and each.sha256 == sent.artifact.sha256), None
        )
        if held is None:
            return
        facts = {"gen": gen, "artifact": self._ref(held, sent.model, sent.device_id, at, gen)}
        self.lifecycle.offer_again(self.lifecycle.apply(sent, Noted(reason=sent.reason or "", facts=facts), at), at)

    def artifact(self, model: str, device: Row, at: float) -> ArtifactRef:
        """Return the file of `model` that `device` runs. Raises ArtifactError when the store has none."""
        offered = self.judge.offer(device, self.judge.model(model))
        if offered.artifact is None:
            raise _no_format(model, device, offered.reasons)
        return self._ref(offered.artifact, model, device["id"], at)

    def _look(self, deployment: Deployment, device: Row, at: float) -> Deployment:
        job = self.workshop.jobs.get(deployment.job_id) if deployment.job_id else None
        try:
            found = self._find(deployment.model, device, job)
        except EdgeWattError as error:
            return self.lifecycle.apply(deployment, Moved(phase=Phase.FAILED, reason=said(error), code=error.code), at)
        if isinstance(found, Job):
            return self.lifecycle.apply(deployment, Noted(reason=_making(found), facts={"job_id": found.id}), at)
        return self._ready(deployment, device, found, at, anew=job is not None)

    def _find(self, name: str, device: Row, job: Job | None) -> Artifact | Job:
        """Return the file for `device`, or the job that makes it. Raises EdgeWattError when there will be none."""
        if job is not None and job.open:
            return job
        model = self.judge.model(name)
        offered = self.judge.offer(device, model)
        if offered.artifact is not None:
            return offered.artifact
        if job is not None and job.state is not JobState.DONE and not job.lasting:
            raise error_of(job)
        failed = []
        for order in self.orders.for_device(model, wanted_formats(device["info"])):
            made = self.workshop.jobs.newest(order.key) if model.promoted_sha256 else None
            if made is not None and made.sha256 is not None and self.artifacts.is_sound(made.sha256):
                raise _other_version(name, made.sha256, order.format)
            asked = self.workshop.ask(order, FOR_DEPLOYMENTS)
            if asked.open:
                return asked
            failed.append(asked)
        raise error_of(failed[0], remembered=job is None) if failed else _no_format(name, device, offered.reasons)

    def _ready(self, deployment: Deployment, device: Row, artifact: Artifact, at: float, *, anew: bool) -> Deployment:
        """Queue it; `anew` asks the gate about the file that was made, of which it knew only the plan."""
        facts: dict[str, Any] = {}
        if anew:
            judgement = self.judge.judge(
                device,
                deployment.model,
                budget_mj=deployment.budget_mj,
                policy=deployment.policy,
                forced_reason=deployment.forced_reason,
            )
            weighed = {"predicted": judgement.predicted, "verdict": verdict_facts(judgement.verdict)}
            if not judgement.verdict.allowed:
                reason, code = judgement.verdict.sentence, judgement.verdict.code
                refused = Moved(phase=Phase.REFUSED, reason=reason, code=code, facts=weighed)
                return self.lifecycle.apply(deployment, refused, at)
            facts |= weighed
        gen = self.lifecycle.next_gen(device["id"])
        facts |= {"artifact": self._ref(artifact, deployment.model, device["id"], at, gen), "gen": gen}
        deployment = self.lifecycle.apply(deployment, Moved(phase=Phase.READY, facts=facts), at)
        for older in self.lifecycle.deployments.find(device_id=device["id"], open_only=True):
            if older.id != deployment.id and older.created_at <= deployment.created_at:
                self.lifecycle.apply(older, Replaced(by=deployment.id), at)
        away = "offline" if asleep_until(device, at) is None else f"the device {absence(device, at)}"
        queued = Moved(phase=Phase.QUEUED, reason=None if device["online"] else away)
        return self.lifecycle.apply(deployment, queued, at)

    def _give_up(self, needed: Iterable[str | None]) -> None:
        for job in self.workshop.jobs.opened():
            if job.who == FOR_DEPLOYMENTS and job.id not in needed:
                self.workshop.cancel(job.id, "controller", "no deployment waits for it any more")

    def _ref(self, found: Artifact, model: str, device_id: str, at: float, gen: int | None = None) -> ArtifactRef:
        url = self.urls.of(found.sha256, device_id, at)
        self.artifacts.deployed(found.sha256, at)
        signer = self.artifacts.signer
        sig = signer.sign(signed_part(found, model, gen)) if signer else None
        return ArtifactRef(url=url, sha256=found.sha256, size=found.size, format=found.format, sig=sig)


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """Return the gate's answer as a deployment keeps it."""
    return asdict(verdict) | {"sentence": verdict.sentence}


def said(error: EdgeWattError) -> str:
    """Return an error as one sentence with its advice."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _other_version(name: str, sha256: str, form: str) -> ArtifactError:
    """Return why a file that was made is not offered: made once more it would be the same."""
    return ArtifactError(
        f"the {form} file that can be made of {name} is of another version than the one that is promoted",
        code="no_format",
        hint=f"edgewatt models promote {name} {sha256[:SHORT]}, or --undo",
    )


def _making(job: Job) -> str:
    what = f"{job.order.model} as {job.order.format}"
    return f"making {what}: {job.step}" if job.step else f"{what} waits for its turn to be made"


def _no_format(model: str, device: Row, reasons: str) -> ArtifactError:
    why = reasons or "the store has none"
    hint = NO_FORMAT_HINT if reasons else f"edgewatt models download {model} makes it, where it is listed"
    return ArtifactError(f"no format of {model} runs on {device['id']}: {why}", code="no_format", hint=hint)
