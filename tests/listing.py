"""Networks that could be made, as the list tells of them."""

from controller.models.listed import Listed


def listed_network(name, pretrained="in1k", **changes):
    """Return a row of the list of what could be made, of about the work of a small board's network."""
    plain = {
        "name": name,
        "family": "tinynet",
        "pretrained": pretrained,
        "params_m": 1.5,
        "gmacs": 0.1,
        "macts_m": 2.5,
        "dw_gmacs": 0.02,
        "n_convs": 20,
        "input_res": 224,
        "top1_pct": None,
        "top1_source": None,
        "gmacs_published": None,
        "note": "",
        "popular": False,
    }
    return Listed(**plain | changes)
