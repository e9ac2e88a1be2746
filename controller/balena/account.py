"""What the controller does with balena: looks, joins, pins a release and tells the log of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broker.errors import ConflictError, InvalidError, NotFoundError, UnreachableError
from controller import fleet
from controller.balena import answers, pinning, questions
from controller.balena.joined import join
from controller.balena.pinning import Pin, Plan
from controller.balena.token import WHERE_TO_SET, Token
from controller.settings import Settings
from controller.storage.store import Store

if TYPE_CHECKING:
    from controller.balena.cloud import Session

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is configured of balena; without a token every question is refused in words."""

    url: str
    fleet: str
    token: Token | None
    store: Store
    clock: Callable[[], float]
    within_s: float = 20.0

    @property
    def configured(self) -> bool:
        """Whether there is somebody to ask as."""
        return self.token is not None

    async def devices(self, slug: str = "") -> tuple[str, list[Row]]:
        """Return a fleet and its boards joined with the devices that are known here."""
        wanted, now = self._slug(slug), self.clock()
        async with self._open() as session:
            theirs = await _devices(session, wanted)
            if not theirs:
                await _fleet(session, wanted)  # none is something else than no such fleet
        ours = [fleet.view(row, now) for rows in self.store.pieces() for row in rows]
        return wanted, join(theirs, ours)

    async def releases(self, slug: str = "", limit: int = 20) -> tuple[Row, list[Row]]:
        """Return a fleet and its newest releases, newest first."""
        wanted = self._slug(slug)
        async with self._open() as session:
            known = await _fleet(session, wanted)
            return known, await _releases(session, wanted, limit)

    async def logs(self, uuid: str, limit: int = 100) -> list[Row]:
        """Return the newest lines of a board, oldest first."""
        question = questions.logs(uuid, limit)
        async with self._open() as session:
            return answers.line_documents(await session.document(question))

    async def pin(self, asked: Pin, origin: str, *, dry_run: bool = False) -> Plan:
        """Pin a release where it may be pinned; `dry_run` only looks."""
        async with self._open() as session:
            plan = await _planned(session, asked)
            if dry_run or plan.write is None:
                return plan
            try:
                await session.write(plan.write)
            except UnreachableError as error:
                if error.code == "balena_busy":
                    raise
                self._tell(plan, origin, f"whether {plan.sentence} is not known: {error.message}", code=error.code)
                raise
        self._tell(plan, origin, plan.sentence)
        return plan

    def _tell(self, plan: Plan, origin: str, text: str, **facts: Any) -> None:
        uuids = {each["uuid"] for each in plan.devices} if plan.target == "device" else set()
        told = f"{self.store.connection.json_text('info', 'balena_uuid')} IS NOT NULL"
        ours = [row["id"] for rows in self.store.pieces(told) for row in rows if row["info"]["balena_uuid"] in uuids]
        with self.store.transaction():
            self.store.add_event(
                self.clock(),
                "balena",
                text,
                who=origin,
                device_id=ours[0] if len(ours) == 1 else None,
                facts=facts | plan.document,
            )

    def _slug(self, given: str) -> str:
        if not (given or self.fleet):
            hint = "name one (app_slug, --fleet), or set balena_fleet (EDGEWATT_BALENA_FLEET)"
            raise InvalidError("no balena fleet is named", hint=hint, field="app_slug")
        return questions.known_slug(given or self.fleet)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator["Session"]:
        from controller.balena.cloud import Cloud  # noqa: PLC0415 - httpx is loaded by those who have balena

        if self.token is None:
            raise ConflictError("balena is not configured", code="balena_not_configured", hint=WHERE_TO_SET)
        async with Cloud(url=self.url, token=self.token, within_s=self.within_s, clock=self.clock).open() as session:
            yield session


def account(settings: Settings, store: Store, clock: Callable[[], float], token: Token | None) -> Account:
    """Return what `settings` say of balena, for whoever has the token."""
    url = settings.balena_api_url.rstrip("/")
    return Account(url=url, fleet=settings.balena_fleet, token=token, store=store, clock=clock)


async def _planned(session: "Session", asked: Pin) -> Plan:
    device = await _device(session, asked.device_uuid) if asked.device_uuid is not None else None
    known = await _fleet(session, asked.app_slug) if asked.app_slug is not None else None
    slug = device["fleet"] if device else (known or {})["slug"]
    if slug is None:
        raise ConflictError(f"{asked.device_uuid} is in no fleet", hint="move it into one on balena's dashboard")
    found = [answers.release_document(row) for row in await session.rows(questions.release(asked.release_id))]
    newest = await _releases(session, slug, pinning.SHOWN, successful=True)
    release = pinning.check(asked.release_id, found[0] if found else None, slug, newest)
    if device:
        return pinning.for_device(release, device)
    return pinning.for_fleet(release, known or {}, await _devices(session, slug))


async def _devices(session: "Session", slug: str) -> list[Row]:
    return [answers.device_document(row) for row in await session.rows(questions.devices(slug))]


async def _releases(session: "Session", slug: str, limit: int, *, successful: bool = False) -> list[Row]:
    found = await session.rows(questions.releases(slug, limit, successful=successful))
    return [answers.release_document(row) | {"fleet": slug} for row in found]


async def _fleet(session: "Session", slug: str) -> Row:
    found = await session.rows(questions.fleet(slug))
    if not found:
        hint = "the slug is organization/fleet; does the token's user see it?"
        raise NotFoundError(f"balena shows no fleet '{slug}'", code="unknown_fleet", hint=hint)
    return answers.fleet_document(found[0])


async def _device(session: "Session", uuid: str) -> Row:
    found = await session.rows(questions.device(uuid))
    if not found:
        hint = "`edgewatt balena devices` lists those that the token's user sees"
        raise NotFoundError(f"balena shows no device {uuid}", code="unknown_device", hint=hint)
    return answers.device_document(found[0])
