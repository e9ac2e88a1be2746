"""Networks of timm with the weights that are published for them, fetched once from the Hugging Face hub."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.constants import ENDPOINT, is_offline_mode
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from tqdm.auto import tqdm

from broker.errors import NotFoundError, UnreachableError
from controller.models.cpu_torch import load_timm
from controller.models.listed import load as listed
from controller.workshop.progress import Tell
from controller.workshop.timm_networks import architecture_of, create, dressed, no_such_weights
from controller.workshop.torch_network import TorchNetwork

FILE = "model.safetensors"
ANSWER_TIMEOUT_S = 5.0
"""How long the hub may be silent before it counts as out of reach; a download that has begun is tried again."""

STARTS_AT, ENDS_AT = 0.02, 0.18
"""What part of the whole work a download is."""


def pretrained(name: str, tell: Tell) -> TorchNetwork:
    """Return the network that timm calls `name` (`name` or `name.tag`) with its published weights.

    Raises NotFoundError (`unknown_model`), UnreachableError (`hub_unreachable`).
    """
    config = _config(name)
    path = fetch(config.hf_hub_id, tell)
    network = create(name, pretrained=True, pretrained_cfg_overlay={"file": str(path), "custom_load": False})
    full_name = f"{config.architecture}.{config.tag}"
    return dressed(
        network,
        trained=True,
        source=f"timm {full_name} from {config.hf_hub_id}",
        tools={"huggingface_hub": version("huggingface_hub")},
        top1_pct=_published_top1_pct(config.architecture, full_name),
        licence=config.license,
    )


def fetch(repository: str, tell: Tell) -> Path:
    """Return the file of weights of `repository`, from the hub's cache on this machine or else from the hub.

    A download that was cut off goes on where it ended. Raises NotFoundError, UnreachableError.
    """
    cached = try_to_load_from_cache(repository, FILE)
    if isinstance(cached, str):
        return Path(cached)
    if is_offline_mode():
        raise UnreachableError(
            f"{repository} is not in the cache of this machine, and HF_HUB_OFFLINE forbids to fetch it",
            code="hub_unreachable",
            hint="unset HF_HUB_OFFLINE, or let HF_HOME name the folder of a cache that has it; --untrained needs none",
        )
    try:
        # The client itself would try again for half a minute before it says that nobody answers.
        get_hf_file_metadata(hf_hub_url(repository, FILE), timeout=ANSWER_TIMEOUT_S)
        return Path(hf_hub_download(repository, FILE, etag_timeout=ANSWER_TIMEOUT_S, tqdm_class=_bar(tell)))
    except LocalEntryNotFoundError as error:
        raise _unreachable(repository, error) from error
    except (RepositoryNotFoundError, EntryNotFoundError) as error:
        raise NotFoundError(
            f"{ENDPOINT} has no {FILE} of {repository}",
            code="unknown_model",
            hint="--untrained needs no weights; or download them by hand and use edgewatt models add FILE",
        ) from error
    except Exception as error:
        if isinstance(error, HfHubHTTPError) or type(error).__module__.startswith("http"):
            raise _unreachable(repository, error) from error
        raise


def _config(name: str) -> Any:
    architecture_of(name)
    try:
        config = load_timm().models.get_pretrained_cfg(name)
    except RuntimeError:
        raise no_such_weights(name) from None
    if config is None or not config.hf_hub_id:
        raise no_such_weights(name)
    return config


def _published_top1_pct(architecture: str, full_name: str) -> float | None:
    """Return what timm publishes for exactly these weights at their size."""
    known = listed().get(architecture)
    return known.top1_pct if known and known.weights == full_name else None


def _unreachable(repository: str, error: Exception) -> UnreachableError:
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return UnreachableError(
        f"the hub at {ENDPOINT} cannot be reached for {repository}: {str(cause).splitlines()[0][:200]}",
        code="hub_unreachable",
        hint="--untrained needs no hub; weights fetched elsewhere: edgewatt models add FILE; a mirror: HF_ENDPOINT; "
        "a cache of another machine: HF_HOME and HF_HUB_OFFLINE=1. Asked again, a download goes on where it ended",
    )


def _bar(tell: Tell) -> type[Any]:
    class Bar(tqdm):  # type: ignore[misc]  # tqdm ships no types
        """Tells of each further percent of a download."""

        told = -1

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            share = self.n / self.total if self.total else 0.0
            if int(share * 100) > self.told:
                self.told = int(share * 100)
                words = f"downloading weights, {self.n / 1e6:.1f} of {(self.total or 0) / 1e6:.1f} MB"
                tell(STARTS_AT + share * (ENDS_AT - STARTS_AT), words)
            return shown

    return Bar
