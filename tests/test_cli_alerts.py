"""Alerts from the command line, against a whole controller: listed, seen, silenced; rules tried, made, removed."""

import json

import pytest

from controller.cli.exits import Exit
from tests.alerting import AlertFleet


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    fleet = AlertFleet(tmp_path_factory.mktemp("cli"))
    fleet.join("pi5-1", "pi5-2", "pi5-3", tags={"line": "A"})
    for device_id in ("pi5-1", "pi5-2"):
        fleet.hot(device_id)
    fleet.hot("pi5-3", 20, soc_pct=5.0)
    with fleet.served():
        yield fleet
    fleet.store.close()


def listed(edgewatt, *words):
    code, out, _ = edgewatt("alerts", "list", *words, "--json")
    assert code == Exit.DONE
    return [each["id"] for each in json.loads(out)["alerts"]]


def test_the_list_is_worst_first_with_a_sentence_of_counts(edgewatt):
    code, out, err = edgewatt("alerts", "list")

    assert code == Exit.DONE
    assert out.splitlines()[0].split()[:4] == ["alert", "severity", "state", "since"]
    assert out.splitlines()[1].startswith("battery-empty@pi5-3  critical  firing")
    assert "85 °C  ≥ 80 °C" in out
    assert err.startswith("3 open (1 critical)")
    assert listed(edgewatt, "--severity", "critical") == ["battery-empty@pi5-3"]
    assert listed(edgewatt, "--device", "pi5-1") == ["too-hot@pi5-1"]
    assert "too-hot@pi5-3" in listed(edgewatt, "--state", "pending")


def test_the_status_counts_what_is_open(edgewatt):
    code, out, _ = edgewatt("status")

    assert code == Exit.DONE
    assert "open alerts" in out
    assert "3 (1 critical)" in out


def test_tab_completes_the_ids_of_alerts(edgewatt, monkeypatch, capsys):
    monkeypatch.setenv("_EDGEWATT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "edgewatt alerts ack too")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        edgewatt()

    assert capsys.readouterr().out.split() == ["too-hot@pi5-2", "too-hot@pi5-1"]


def test_one_that_is_seen_leaves_the_list(edgewatt):
    code, out, _ = edgewatt("alerts", "ack", "too-hot@pi5-1", "--note", "fan")

    assert (code, "cli" in out) == (Exit.DONE, True)
    assert "too-hot@pi5-1" not in listed(edgewatt)
    assert "too-hot@pi5-1" in listed(edgewatt, "--acknowledged")


def test_one_that_is_silenced_leaves_the_list_until_the_silence_ends(edgewatt):
    code, out, _ = edgewatt("alerts", "silence", "too-hot@pi5-2", "--for", "2h", "--why", "roof", "--json")
    silence = json.loads(out)["silence"]

    assert (code, silence["until"] - silence["at"], silence["why"]) == (Exit.DONE, 7_200.0, "roof")
    assert "too-hot@pi5-2" in listed(edgewatt, "--silenced")
    assert silence["id"] in edgewatt("alerts", "silences")[1]
    assert edgewatt("alerts", "unsilence", silence["id"])[0] == Exit.DONE
    assert "too-hot@pi5-2" in listed(edgewatt)


def test_a_rule_is_tried_made_changed_and_removed(edgewatt):
    asked = ("--quantity", "temperature_c", "--above", "70", "--for", "5s", "--tag", "line=A")
    code, out, _ = edgewatt("alerts", "rules", "preview", *asked)
    assert (code, "would have fired 3 times in 7 days, on 3 of 3 devices" in out) == (Exit.DONE, True)
    code, out, _ = edgewatt("alerts", "rules", "set", "warm", *asked, "--dry-run")
    assert "would have fired 3 times" in out
    assert edgewatt("alerts", "rules", "show", "warm")[0] == Exit.NOT_FOUND

    assert edgewatt("alerts", "rules", "set", "warm", *asked)[0] == Exit.DONE
    code, out, _ = edgewatt("alerts", "rules", "set", "warm", "--clear", "65", "--severity", "critical", "--json")
    rule = json.loads(out)["rule"]
    assert (rule["threshold"], rule["clear"], rule["for_s"], rule["severity"]) == (70.0, 65.0, 5.0, "critical")
    assert rule["tags"] == ["line=A"]
    _, out, _ = edgewatt("alerts", "rules", "list")
    assert next(line for line in out.splitlines() if line.startswith("warm ")).rstrip().endswith("you")
    code, _, err = edgewatt("alerts", "rules", "remove", "warm")
    assert (code, "add --yes" in err) == (Exit.USAGE, True)
    assert edgewatt("alerts", "rules", "remove", "warm", "--yes")[0] == Exit.DONE


def test_one_of_ours_is_switched_off_and_had_back(edgewatt):
    _, out, _ = edgewatt("alerts", "rules", "set", "clock-off", "--off", "--json")
    assert (json.loads(out)["rule"]["enabled"], json.loads(out)["rule"]["changed"]) == (False, True)
    _, out, _ = edgewatt("alerts", "rules", "remove", "clock-off", "--yes", "--json")
    assert json.loads(out)["rule"]["enabled"] is True
    code, _, err = edgewatt("alerts", "rules", "remove", "clock-off", "--yes")
    assert (code, "rules set clock-off --off" in err) == (Exit.FAILED, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ack", "nothing@pi5-1"), Exit.NOT_FOUND, "no alert 'nothing@pi5-1'"),
        (("ack", "too-hot@pi5-3"), Exit.FAILED, "is pending"),
        (("silence", "too-hot@pi5-1", "--for", "soon"), Exit.USAGE, "'soon' is no span of time"),
        (("silence", "too-hot@pi5-1", "--for", "90d"), Exit.USAGE, "is no time to be silent"),
        (("silence", "too-hot@pi5-1"), Exit.USAGE, "--for"),
        (("unsilence", "nothing"), Exit.NOT_FOUND, "no silence 'nothing'"),
        (("list", "--state", "bad"), Exit.USAGE, "'bad' is no state"),
        (("rules", "show", "too-hat"), Exit.NOT_FOUND, "did you mean too-hot?"),
        (
            ("rules", "set", "warm", "--quantity", "heat", "--above", "1"),
            Exit.USAGE,
            "nothing called 'heat' is watched",
        ),
        (("rules", "set", "other", "--quantity", "soc_pct"), Exit.USAGE, "needs --quantity, and --above or --below"),
        (("rules", "set", "too-hot", "--above", "70"), Exit.USAGE, "could not clear at 75"),
        (("rules", "preview", "--above", "1", "--below", "2"), Exit.USAGE, "are two rules"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_code(edgewatt, words, code, said):
    found, out, err = edgewatt("alerts", *words)

    assert (found, out) == (code, "")
    assert said in err
