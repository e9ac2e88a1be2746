"""Saved views of the fleet over REST."""

from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

from controller.api.described import RESPONSES
from controller.api.parts import Given
from controller.saved_views import SavedViews

router = APIRouter(prefix="/api/views", tags=["devices"], responses=RESPONSES)


@dataclass(frozen=True, kw_only=True)
class ViewBody:
    """What a view asks for: any of q, health, tag, type, runs, order."""

    query: dict[str, str] = field(default_factory=dict)


@router.get("")
async def list_views(parts: Given) -> dict[str, Any]:
    """List the saved views of the fleet, by name."""
    found = SavedViews(parts.service.store).all()
    return {"success": True, "views": [{"name": name, "query": query} for name, query in found.items()]}


@router.put("/{name}")
async def save(parts: Given, name: str, body: ViewBody) -> dict[str, Any]:
    """Keep a filter under a name, for everybody who looks at this fleet."""
    return {"success": True, "name": SavedViews(parts.service.store).put(name, body.query)}


@router.delete("/{name}")
async def remove(parts: Given, name: str) -> dict[str, Any]:
    """Forget a view; the devices are as they were."""
    SavedViews(parts.service.store).remove(name)
    return {"success": True, "name": name}
