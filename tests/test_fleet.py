"""The fleet's words: health by the age of readings, drift."""

import pytest

from controller import fleet

NOW = 1_800_000_000.0


def device(**columns):
    row = dict.fromkeys(
        ("online", "session", "status_at", "reading_at", "info", "status", "state", "desired", "reading")
    )
    return row | {"id": "pi5-1", "approved": 1, "registered_at": NOW - 999, "gaps": 0} | columns


@pytest.mark.parametrize(
    ("columns", "health"),
    [
        ({"online": 1, "status_at": NOW - 50, "reading_at": NOW - 3}, "live"),
        ({"online": 1, "status_at": NOW - 50, "reading_at": NOW - 60}, "late"),
        ({"online": 1, "status_at": NOW - 900, "reading_at": NOW - 600}, "silent"),
        ({"online": 1, "status_at": NOW - 50}, "silent"),
        ({"online": 0, "status_at": NOW - 6, "reading_at": NOW - 7}, "offline"),
        ({"online": 0, "status_at": NOW - 2, "reading_at": NOW - 3}, "live"),
        ({"reading_at": NOW - 900}, "offline"),
        ({}, "never_seen"),
    ],
)
def test_health_is_judged_by_the_age_of_readings_and_a_will_is_believed_after_a_while(columns, health):
    word, reason = fleet.health(device(**columns), NOW)

    assert word == health
    assert reason


def test_a_slow_reporter_is_live_for_three_of_its_intervals():
    row = device(online=1, status_at=NOW - 99, reading_at=NOW - 99, status={"interval_s": 60})

    assert fleet.health(row, NOW)[0] == "live"


def test_a_clean_stop_and_a_lost_connection_read_differently():
    stopped = device(online=0, status_at=NOW - 60, status={"reason": "shutdown"})
    lost = device(online=0, status_at=NOW - 60, status={"reason": "lost"})

    assert fleet.health(stopped, NOW)[1] != fleet.health(lost, NOW)[1]


def test_drift_tells_what_is_wanted_and_what_runs():
    wanted = {"deploy": {"model": "b", "artifact": {"sha256": "bb"}}}
    running = {"active": {"model": "a", "artifact_sha256": "aa"}}

    assert fleet.drift(device()) is None
    assert fleet.drift(device(desired={"gen": 3})) is None
    assert fleet.drift(device(desired=wanted)) == "wants b, runs nothing"
    assert fleet.drift(device(desired=wanted, state=running)) == "wants b, runs a"
    in_step = {"active": {"model": "b", "artifact_sha256": "bb"}}
    assert fleet.drift(device(desired=wanted, state=in_step)) == "in step"


def test_absent_readings_stay_absent_in_the_document():
    document = fleet.view(device(), NOW)

    assert document["reading_age_s"] is None
    assert document["active"] is None
    assert document["latest"] is None


def test_a_wrong_id_is_answered_with_the_nearest_ones():
    assert "pi5-1" in fleet.nearest("pi5_1", ["pi5-1", "jetson-1"])
    assert fleet.nearest("zzz", ["pi5-1"])


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (None, None),
        ({"source": "http"}, "http: nothing came in"),
        ({"source": "http", "answers": {"cat": 7, "dog": 1}, "refused": 2}, "http: cat 7, dog 1, 2 refused"),
        ({"source": "folder", "answers": {"a": 1}, "other_answers": 9}, "folder: a 1, other 9"),
        ({"source": "camera", "fault": "camera 0 gives no picture"}, "camera: camera 0 gives no picture"),
    ],
)
def test_what_a_device_serves_is_said_in_words(inputs, said):
    assert fleet.view(device(reading={"inputs": inputs}), NOW)["serves"] == said
