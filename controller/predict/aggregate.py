"""Makes the tables in data/ from the MLPerf rows: medians per board, runtime, version and network; the networks.

`python -m controller.predict.aggregate --data mlperf_edge_energy.csv` writes them again.
"""

import argparse
from pathlib import Path

import pandas as pd

from controller.models.shipped import DATA

KEY = ["board", "runtime", "framework", "model"]
ARCHITECTURE = [
    "arch_key",
    "family",
    "quantized",
    "input_res",
    "params_m",
    "gmacs",
    "dw_macs_g",
    "macts_m",
    "n_convs",
    "top1_pct",
]
MEDIANS = ["energy_mj", "latency_mean_ms", "power_mean_w"]
SOURCE = r"^(?P<division>[^/]+)/(?P<submitter>[^/]+)/results/(?P<system>[^/]+)/"


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Return medians over repeated runs, how many there were, and the round, submitter and system as the source."""
    groups = rows.sort_values("path").groupby(KEY)
    table = groups[MEDIANS].median()
    table.insert(0, "runs", groups.size())
    where = groups["path"].first().str.extract(SOURCE)
    table["source"] = (
        groups["round"].first() + "/" + where["division"] + "/" + where["submitter"] + "/" + where["system"]
    )
    return table.reset_index()


def networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the architecture of each network that was measured."""
    return rows.sort_values("path").groupby("model")[ARCHITECTURE].first().reset_index()


def main(arguments: list[str] | None = None) -> None:
    """Write both tables from the command line."""
    parser = argparse.ArgumentParser(prog="python -m controller.predict.aggregate", description="Aggregate the rows.")
    parser.add_argument("--data", type=Path, required=True, help="mlperf_edge_energy.csv")
    parser.add_argument("--out", type=Path, default=DATA)
    options = parser.parse_args(arguments)
    rows = pd.read_csv(options.data)
    for name, table in (("measured_energy.csv", measured(rows)), ("networks.csv", networks(rows))):
        table.to_csv(options.out / name, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
