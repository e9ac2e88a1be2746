"""What `check` says of data folder, clock and broker: what stands in the way, and what to do about it."""

import fcntl
import socket

import pytest

from broker.errors import EdgeWattError
from edge_agent import checkup
from edge_agent.download import RESERVE_BYTES
from edge_agent.known_runtimes import known
from edge_agent.program import main
from edge_agent.settings import Settings

NOBODY = "mqtt://127.0.0.1:9"


def test_a_data_folder_is_looked_at_and_not_made(tmp_path):
    seen = checkup.data(tmp_path / "not" / "yet", lambda _: 123_000_000)

    assert str(seen) == f"data          {tmp_path}/not/yet, 123 MB free"
    assert not (tmp_path / "not").exists()


def test_a_data_folder_that_cannot_be_is_told_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    file = checkup.data(tmp_path / "file" / "data", lambda _: 10**9)
    full = checkup.data(tmp_path, lambda _: RESERVE_BYTES)

    assert str(file).startswith("no data       ")
    assert "is a file; name another one with --data" in file.text
    assert "8.0 MB free, too few for a model" in full.text
    assert not full.fine


def test_a_clock_before_2020_is_told_with_its_time():
    assert checkup.clock_at(1_790_000_000.0).fine
    assert "it says 1970-01-01 00:02: let the network set it" in checkup.clock_at(120.0).text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (NOBODY, "nobody listens on 127.0.0.1:9: is the broker running?"),
        ("mqtt://nohost.invalid", "no host is called nohost.invalid"),
    ],
)
async def test_a_broker_that_is_not_there_is_told_as_the_agent_would(tmp_path, url, said):
    assert str(await checkup.broker(Settings(id="x", broker=url, data=tmp_path))) == f"no broker     {said}"


async def test_the_session_of_an_agent_that_runs_is_not_ended_for_a_check(tmp_path):
    settings = Settings(id="x", broker=NOBODY, data=tmp_path, username="x", password="p")
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen = await checkup.broker(settings)

    assert seen.fine
    assert "an agent runs on this folder" in seen.text
    assert not (await checkup.broker(settings)).fine


async def test_a_broker_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(checkup, "ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        seen = await checkup.broker(Settings(id="x", broker=url, data=tmp_path))

    assert "does not answer in 0.05 s" in seen.text


@pytest.mark.parametrize("word", ["run", "check"])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--broker", "mqtt://"), "is no broker address"),
        (("--broker", NOBODY, "--password-file", "/nope"), "cannot use /nope"),
    ],
)
def test_settings_that_cannot_be_are_told_before_anything_begins(tmp_path, capsys, word, flags, said):
    with pytest.raises(SystemExit) as ended:
        main([word, "--id", "x", "--data", str(tmp_path / "data"), *flags])

    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_used_is_told_with_what_to_do(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        main(["run", "--id", "x", "--broker", NOBODY, "--data", str(tmp_path / "file")])

    assert "or name another folder with --data" in capsys.readouterr().err


def test_settings_without_sense_are_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(EdgeWattError):
        checkup.look(Settings(id="x", broker="http://x", data=tmp_path), now=1_790_000_000.0)


def test_a_full_disk_keeps_nobody_from_learning_which_runtimes_there_are(tmp_path):
    (tmp_path / "runtimes.json.tmp").symlink_to("/dev/full")

    assert known(tmp_path / "runtimes.json", ()) == ((), ())
