"""What the owner of a device allows there, in words; pure."""

from broker.messages import LocalPolicy


def in_words(policy: LocalPolicy, fault: str = "") -> str:
    """Return `policy` in one line for a person; `fault` says why it locks although nobody asked for that."""
    said = [
        f"locked: takes no deployment{f' ({fault})' if fault else ''}" if policy.locked else "",
        f"at most {policy.max_energy_mj:g} mJ per inference" if policy.max_energy_mj is not None else "",
        f"a p95 of at most {policy.max_latency_ms:g} ms" if policy.max_latency_ms is not None else "",
        f"files from {', '.join(policy.only_hosts)} only" if policy.only_hosts else "",
        "signed files only" if policy.signed else "",
    ]
    return "; ".join(filter(None, said)) or "none: takes what it is sent"
