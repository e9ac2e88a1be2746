"""What binds a deployment: asked for on the page, sent, and said as a command."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from broker.conditions import in_words
from dashboard import words

Document = dict[str, Any]
CHARGING = {None: "either way", True: "while it charges", False: "while it does not"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Budgets in mJ per inference and of the p95 in ms, seconds to watch, conditions to begin as REST takes them."""

    budget_mj: float | None = None
    policy: str = "strict"
    latency_ms: float | None = None
    soak_s: float | None = None
    when: Document | None = None

    @property
    def arguments(self) -> Document:
        """The arguments of the client's `deploy`."""
        return {"max_energy_mj": self.budget_mj, "policy": self.policy} | self._besides

    @property
    def command(self) -> Document:
        """The fields of a command that a person types, but for the energy."""
        return {name: value for name, value in self._besides.items() if value is not None}

    @property
    def _besides(self) -> Document:
        return {"max_latency_ms": self.latency_ms, "soak_s": self.soak_s, "when": self.when}

    @property
    def flags(self) -> list[str]:
        """The flags of `edgewatt deploy`, but for the energy."""
        when = self.when or {}
        given = {
            "--latency-ms": self.latency_ms,
            "--soak": self.soak_s,
            "--when-soc-min": when.get("soc_min_pct"),
            "--when-temp-max": when.get("temp_max_c"),
            "--when-window": when.get("window"),
        }
        said = [part for flag, value in given.items() if value is not None for part in (flag, _shown(value))]
        return said + (["--when-charging"] if when.get("charging") else [])

    @property
    def sentence(self) -> str:
        """What they ask of the device, as the end of a sentence."""
        said = [
            "without a budget"
            if self.budget_mj is None
            else f"within {words.amount(self.budget_mj, 'mJ')} per inference",
            f"a p95 of at most {self.latency_ms:g} ms" if self.latency_ms is not None else "",
            f"begins when {in_words(self.when)}" if self.when else "",
            f"watched for {self.soak_s:g} s" if self.soak_s is not None else "",
        ]
        return "; ".join(filter(None, said))


def choose_terms(budget_mj: float | None, latency_ms: float | None, policy: str) -> Terms:
    """Draw what there is besides the energy, folded away: most deployments need none of it."""
    with st.expander("Conditions and soak"):
        left, right = st.columns(2)
        soak_s = right.number_input(
            "Watch it for, s", key="soak_s", **_up_to(0.0, 43_200.0, "as the controller is set")
        )
        soc_min_pct = left.number_input("Battery at least, %", key="soc_min", **_up_to(0.0, 100.0, "any"))
        temp_max_c = right.number_input("At most, °C", key="temp_max", **_up_to(-40.0, 150.0, "any"))
        window = left.text_input("Between, by its own clock", key="window", placeholder="22:00-05:00", max_chars=17)
        charging = right.selectbox("Charging", list(CHARGING), key="charging", format_func=CHARGING.__getitem__)
    when = {
        "soc_min_pct": soc_min_pct,
        "charging": charging,
        "temp_max_c": temp_max_c,
        "window": window.strip() or None,
    }
    given = {name: value for name, value in when.items() if value is not None}
    return Terms(budget_mj=budget_mj, policy=policy, latency_ms=latency_ms, soak_s=soak_s, when=given or None)


def _up_to(least: float, most: float, empty: str) -> Document:
    return {
        "min_value": least,
        "max_value": most,
        "value": None,
        "format": "%.4g",
        "bind": "query-params",
        "placeholder": empty,
    }


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
