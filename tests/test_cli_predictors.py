"""Predictors are trained, judged, listed and chosen from the command line, without a controller."""

import hashlib
import json
from dataclasses import replace

import joblib
import numpy as np
import pytest
import sklearn

from broker.errors import ArtifactError, InvalidError
from controller.cli.app import run
from controller.models.shipped import ARTIFACTS
from controller.predict import baseline, readings
from controller.predict.features import Features
from controller.predict.predictor import FILES, FleetPredictor
from controller.predict.publish import FEATURES
from controller.predict.rows import check, sets_in, stack
from controller.predict.versions import SHIPPED, Versions
from tests.controlling import controller

MOBILENET = Features(
    params_m=4.2, gmacs=0.57, size_mb=17.0, macts_m=5.0, input_res=224, dw_gmacs=0.017, n_convs=27, latency_avg_s=0.03
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    page = tmp_path_factory.mktemp("judged") / "report.html"
    out = tmp_path_factory.mktemp("out") / "figures.json"
    import contextlib  # noqa: PLC0415 - only here

    with out.open("w") as file, contextlib.redirect_stdout(file):
        code = run(["predictors", "evaluate", "--json", "--quiet", "--html", str(page)])
    return code, json.loads(out.read_text()), page.read_text()


def copy_of_shipped(folder):
    folder.mkdir()
    for path in ARTIFACTS.glob("*.*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_the_figures_beat_what_was_published(judged):
    code, figures, _ = judged

    assert code == 0
    assert set(figures) == {"seen", "unseen_family", "new_board", "per_set"}
    assert figures["seen"]["mape_percent"] < 4.3
    assert figures["seen"]["median_ape_percent"] < 3.4
    assert figures["seen"]["within_10_percent"] > 90
    assert figures["seen"]["width_percent"] < 33
    assert 93 <= figures["seen"]["coverage_percent"] <= 97
    assert figures["unseen_family"]["mape_percent"] < 10.3
    assert len(figures["per_set"]) == 9


def test_intervals_of_95_percent_hold_that_often_on_every_board(judged):
    def held(rows):
        sets = judged[1]["per_set"]
        return {
            board: np.mean([each[rows]["coverage_percent"] for each in sets if each["board"] == board])
            for board in {each["board"] for each in sets}
        }

    assert [board for board, share in held("seen").items() if not 93 <= share <= 97] == []
    assert [board for board, share in held("unseen_family").items() if not 93 <= share <= 98] == []
    assert judged[1]["unseen_family"]["width_percent"] < 50


def test_ten_runs_are_enough_for_a_board_that_was_never_seen(judged):
    ten = judged[1]["new_board"]["10"]

    assert ten["mape_percent"] <= 7
    assert ten["within_20_percent"] >= 95
    assert 93 <= ten["coverage_percent"] <= 97
    assert judged[1]["new_board"]["0"]["coverage_percent"] >= 95


def test_the_report_is_one_page_with_plots_that_needs_no_network(judged):
    page = judged[2]

    assert page.count("<svg") >= 6
    assert "<script" not in page
    assert "http" not in page
    assert "nan" not in page.lower().split("</style>")[1]


def test_the_shipped_rows_are_twelve_sets_of_the_same_networks():
    table, sha256 = readings.read()
    rows = stack(table)

    assert len(sets_in(table)) == 12
    assert rows.y.shape == (94, 12)
    assert len(sha256) == 64


def test_a_file_without_a_column_or_with_a_wrong_energy_is_refused_by_name(tmp_path):
    table = readings.shipped()
    lacking, wrong, text = (tmp_path / name for name in ("lacking.csv", "wrong.csv", "text.csv"))
    table.drop(columns="gmacs").to_csv(lacking, index=False)
    table.assign(energy_mj=table["energy_mj"].where(table.index != 3, -1.0)).to_csv(wrong, index=False)
    text.write_bytes(b"")

    for path, words in ((lacking, "column gmacs"), (wrong, "row 5"), (text, "no table"), (tmp_path / "x", "cannot")):
        with pytest.raises(InvalidError, match=words):
            readings.read([path])


def test_too_few_rows_of_a_board_are_refused_with_what_to_do_instead(capsys):
    assert run(["predictors", "train", "--device", "beaglebone_black", "--quiet"]) != 0
    assert "calibrate the device with ten runs" in capsys.readouterr().err


def test_a_version_can_be_used_and_gone_back_from(tmp_path, capsys):
    versions = Versions(folder=tmp_path / "predictors")
    trained = copy_of_shipped(tmp_path / "trained")
    named = versions.add(trained)

    assert versions.active == SHIPPED
    assert run(["predictors", "use", named, "--controller-data", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"active": named, "before": "shipped"}
    assert versions.active_folder() == tmp_path / "predictors" / named
    assert run(["predictors", "list", "--controller-data", str(tmp_path), "--json"]) == 0
    assert [(each["id"], each["active"]) for each in json.loads(capsys.readouterr().out)] == [
        ("shipped", False),
        (named, True),
    ]
    assert run(["predictors", "use", "shipped", "--controller-data", str(tmp_path), "--quiet"]) == 0
    assert versions.active_folder() == ARTIFACTS


def test_a_version_that_is_not_there_or_was_changed_cannot_be_used(tmp_path, capsys):
    versions = Versions(folder=tmp_path / "predictors")
    named = versions.add(copy_of_shipped(tmp_path / "trained"))
    (versions.folder / named / FILES.predictor).write_text("{}")

    assert run(["predictors", "use", "nothing", "--controller-data", str(tmp_path)]) != 0
    assert "known: shipped" in capsys.readouterr().err
    with pytest.raises(ArtifactError):
        versions.use(named)
    assert versions.active == SHIPPED


WROTE = json.loads((ARTIFACTS / FEATURES).read_text())["unified"]["scikit_learn"]


@pytest.mark.skipif(sklearn.__version__ != WROTE, reason=f"scikit-learn {WROTE} wrote the pickles")
@pytest.mark.parametrize("name", list(baseline.PAIRS))
def test_the_shipped_baselines_answer_like_the_rows_they_saw(name):
    energy_mj = baseline.load(name).predict([MOBILENET])

    assert 30 < energy_mj[0] < 1000


def test_a_changed_pickle_is_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    folder = copy_of_shipped(tmp_path / "artifacts")
    joblib.dump(Bomb(), folder / baseline.PAIRS["jetson"][0])

    with pytest.raises(ArtifactError, match="not the file that training wrote"):
        baseline.load("jetson", folder)
    with pytest.raises(ArtifactError, match="cannot read"):
        baseline.load("jetson", tmp_path)


def test_the_baseline_asks_for_a_latency():
    with pytest.raises(InvalidError, match="latency_avg_s"):
        baseline.matrix([replace(MOBILENET, latency_avg_s=None)])


def test_the_champion_won_on_unseen_families_among_those_that_need_no_measurement():
    contest = json.loads((ARTIFACTS / FILES.metadata).read_text())["contest"]
    able = {name: found for name, found in contest.items() if "measured latency" not in name}

    assert len(contest) == 3
    assert min(able, key=lambda name: able[name]["unseen_family"]["mape_percent"]) == "gaussian process"


def test_the_champion_answers_without_opening_a_pickle(tmp_path):
    folder = copy_of_shipped(tmp_path / "artifacts")
    for path in folder.glob("*.pkl"):
        path.unlink()

    assert FleetPredictor.load(folder).predict(MOBILENET, "raspberry_pi_4").energy_mj


def test_a_board_of_ones_own_is_trained_on_and_answers_under_its_name(tmp_path, capsys):
    own = readings.shipped().query("board == 'raspberry_pi_4' and runtime == 'tflite'")
    mine = own.assign(board="my_board", energy_mj=own["energy_mj"] * 3, power_mean_w=own["power_mean_w"] * 3)
    csv = tmp_path / "mine.csv"
    mine.to_csv(csv, index=False)
    arguments = [
        "predictors",
        "train",
        "--data",
        str(csv),
        "--device",
        "my_board",
        "--controller-data",
        str(tmp_path),
        "--json",
    ]

    assert run([*arguments, "--no-contest"]) == 0
    said = capsys.readouterr()
    assert "families left out" in said.err
    versions = Versions(folder=tmp_path / "predictors")
    versions.use(json.loads(said.out)["id"])
    predictor = FleetPredictor.load(versions.active_folder())
    model = replace(MOBILENET, latency_avg_s=None)
    ratio = predictor.predict(model, "My Board").energy_mj / predictor.predict(model, "raspberry_pi_4").energy_mj

    assert predictor.predict(model, "my_board").support == "high"
    assert predictor.predict(model, "my_board").predictor != FleetPredictor.load().predict(model, "my_board").predictor
    assert ratio == pytest.approx(3, rel=0.1)


def test_energies_must_be_numbers():
    table = readings.shipped()
    with pytest.raises(InvalidError, match="energy_mj in row 2"):
        check(table.assign(energy_mj=np.nan))


async def test_the_controller_answers_with_the_version_in_use(tmp_path):
    trained = copy_of_shipped(tmp_path / "trained")
    document = json.loads((trained / FILES.predictor).read_text()) | {"version": "mine"}
    (trained / FILES.predictor).write_text(json.dumps(document))
    digest = hashlib.sha256((trained / FILES.predictor).read_bytes()).hexdigest()
    manifest = json.loads((trained / FILES.manifest).read_text()) | {FILES.predictor: digest}
    (trained / FILES.manifest).write_text(json.dumps(manifest))
    versions = Versions(folder=tmp_path / "controller" / "predictors")
    versions.use(versions.add(trained))
    asked = {"device_type": "raspberry_pi_4", "params_m": 4.2, "gmacs": 0.57, "size_mb": 17.0}

    async with controller(tmp_path / "controller") as running:
        answer = await running.post("/api/predict-energy", **asked)
        lacking = await running.post("/api/predict-energy", device_type="raspberry_pi_4", gmacs=0.57, size_mb=17.0)

    assert answer.json()["data"]["predictor"] == "raspberry_pi_4@mine"
    assert (lacking.status_code, lacking.json()["error"]) == (422, "params_m is missing")
