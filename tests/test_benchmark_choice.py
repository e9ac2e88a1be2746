"""Our own table is of networks spread over sizes and families, and says what machine it is of."""

import argparse
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmark_table import (
    COUNT,
    LEAST_GMACS,
    LISTED,
    MOST_GMACS,
    Network,
    choose,
    listed,
    measure,
    note,
    slug,
)
from tests.tiny_models import tiny_model

networks = st.lists(
    st.builds(
        Network,
        name=st.uuids().map(str),
        family=st.sampled_from("abcde"),
        gmacs=st.floats(LEAST_GMACS, MOST_GMACS),
        params_m=st.floats(0.1, 100),
    ),
    max_size=25,
)


@given(found=networks, count=st.integers(0, 30))
def test_a_choice_has_no_network_twice_and_does_not_depend_on_the_order(found, count):
    chosen = choose(found, count)

    assert len(chosen) == len(set(chosen)) == min(count, len(found))
    assert choose(list(reversed(found)), count) == chosen or len({n.gmacs for n in found}) < len(found)
    assert choose(found, max(count - 1, 0)) == chosen[: max(count - 1, 0)]


def test_the_choice_from_our_list_spans_sizes_and_families():
    found = listed(LISTED)
    chosen = choose(found, COUNT)

    assert len(chosen) == COUNT
    assert min(n.gmacs for n in chosen) == min(n.gmacs for n in found)
    assert max(n.gmacs for n in chosen) > 0.8 * max(n.gmacs for n in found)
    assert len({n.family for n in chosen}) > COUNT / 2


def test_an_exact_twin_comes_last():
    near = [Network(name=name, family="a", gmacs=1.0, params_m=1.0) for name in ("x", "y")]
    far = Network(name="z", family="a", gmacs=2.0, params_m=1.0)

    assert [n.name for n in choose([*near, far], 3)] == ["x", "z", "y"]


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        ("Intel(R) Core(TM) i7-12700H", "intel-core-i7-12700h"),
        ("AMD EPYC 7B13 @ 2.45GHz", "amd-epyc-7b13-2-45ghz"),
        ("Raspberry Pi 5 Model B Rev 1.0", "raspberry-pi-5-model-b-rev-1-0"),
    ],
)
def test_a_table_is_named_after_the_processor(processor, name):
    assert slug(processor) == name


def test_the_note_beside_a_table_says_where_it_is_from(tmp_path):
    models, table = tmp_path / "models", tmp_path / "cpu.csv"
    models.mkdir()
    (models / "good.onnx").write_bytes(tiny_model("good"))
    (models / "cut.onnx").write_bytes(tiny_model("cut")[:50])

    code = measure(models, table, argparse.Namespace(threads=1, again=False))
    note(table, datetime.now(UTC), 1)

    said = json.loads((tmp_path / "cpu.json").read_text())
    assert code == 5
    assert said["models"] == 1
    assert "cannot load" in said["failed"]["cut"]
    assert said["machine"]["cores"] > 0
    assert said["versions"].keys() >= {"python", "onnxruntime", "torch", "timm"}
    assert said["energy"].startswith(("absent", "measured"))
    assert said["choice"].startswith("Which networks:")
