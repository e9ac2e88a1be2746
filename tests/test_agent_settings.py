"""Settings: flag before environment before file, and a sentence for what makes no sense."""

import pytest

from broker.errors import EdgeWattError
from edge_agent.program import main
from edge_agent.settings import default_id, load, tags_from
from tests.tiny_models import tiny_model


def test_a_flag_beats_the_environment_and_that_the_file(tmp_path):
    file = tmp_path / "agent.toml"
    file.write_text('id = "from-file"\nrate = 2\nseed = 7\n[tags]\nline = "B"\n')
    env = {"EDGEWATT_ID": "from-env", "EDGEWATT_RATE": "3", "OTHER": "x"}

    settings = load({"id": "from-flag", "rate": None}, env, file)

    assert (settings.id, settings.rate, settings.seed, settings.tags) == ("from-flag", 3.0, 7, {"line": "B"})


def test_the_environment_speaks_text():
    env = {
        "EDGEWATT_ID": "x",
        "EDGEWATT_SIMULATE": "true",
        "EDGEWATT_TAGS": "line=A,hall=2",
        "EDGEWATT_ALLOW_HOSTS": "a,b",
        "EDGEWATT_THREADS": "2",
    }
    settings = load({}, env)

    assert settings.simulate
    assert settings.tags == {"line": "A", "hall": "2"}
    assert settings.allow_hosts == ("a", "b")


@pytest.mark.parametrize(
    "flags",
    [
        {"battery_wh": -1},
        {"solar_wh_per_day": "inf"},
        {"rate": 0},
        {"interval_s": "soon"},
        {"threads": 99},
        {"awake_s": 0},
        {"sleep_s": 9e9},
        {"sleep_by": "magic"},
        {"id": "No Id"},
        {"colour": "red"},
        {"input": "tv"},
        {"tags": "A"},
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(flags):
    with pytest.raises(EdgeWattError) as refused:
        load({"id": "x", **flags}, {})

    assert refused.value.code in ("bad_setting", "bad_id")


@pytest.mark.parametrize("text", ["", "= =", "id = 3 = 4"])
def test_a_bad_file_is_refused(tmp_path, text):
    file = tmp_path / "agent.toml"
    file.write_text(text)
    if not text:
        file.unlink()

    with pytest.raises(EdgeWattError, match="cannot read"):
        load({}, {}, file)


def test_a_hosts_name_becomes_an_id():
    assert default_id("Raspi 5.Local") == "raspi-5.local"
    assert default_id("...") == "device"
    assert load({}, {}).id


def test_tags_are_pairs():
    assert tags_from(["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    for wrong in (["a"], ["=1"]):
        with pytest.raises(EdgeWattError):
            tags_from(wrong)


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["run", "--id", "Not An Id"], 2),
        (["run", "--broker", "http://x", "--id", "x"], 2),
        (["run", "--tag", "A", "--id", "x"], 2),
        (["bench", "nothing.onnx"], 1),
        (["bench", "nothing.txt"], 1),
    ],
)
def test_the_command_line_ends_with_a_sentence_and_a_code(argv, code, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)

    assert ended.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said


def test_bench_prints_figures_with_their_source(tmp_path, capsys):
    path = tmp_path / "m.onnx"
    path.write_bytes(tiny_model())
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(path), "--inferences", "5", "--simulate", "--device-type", "raspberry_pi_4"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "latency_p50_ms" in said
    assert "simulated" in said


def test_check_says_what_the_device_can_do(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", "--id", "x", "--device-type", "raspberry_pi_5", "--broker", "mqtt://127.0.0.1:9"])

    said = capsys.readouterr().out
    assert "onnxruntime" in said
    assert "model, board" in said
    assert "no broker     nobody listens on 127.0.0.1:9: is the broker running?" in said
    assert ended.value.code == 1


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["version"])

    assert capsys.readouterr().out.strip()


def test_a_password_is_never_taken_from_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--password", "s3cret"])

    said = capsys.readouterr().err
    assert "--password-file" in said
    assert "s3cret" not in said


def test_files_in_a_settings_file_lie_beside_it_and_the_environment_names_them_too(tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    file = tmp_path / "agent.toml"
    file.write_text('id = "x"\nusername = "x"\npassword_file = "password"\nca_file = "/etc/ca.pem"\n')

    settings = load({}, {}, file)

    assert (settings.credentials.username, settings.credentials.password) == ("x", "s3cret")
    assert settings.ca_file == "/etc/ca.pem"
    assert "s3cret" not in repr(settings)
    told = load({"id": "x"}, {"EDGEWATT_PASSWORD_FILE": str(tmp_path / "password"), "EDGEWATT_CA_FILE": "ca"})
    assert (told.credentials.password, told.credentials.ca_file) == ("s3cret", "ca")
