"""What a report of pip-audit means: an audit that looked nothing up is not a clean one."""

import pytest

from scripts.advisories import CLEAN, KNOWN, UNKNOWN, judged, main

FLAW = {"id": "PYSEC-2018-28", "fix_versions": ["2.20.0"], "aliases": ["CVE-2018-18074"], "description": "…"}
SOUND = {"name": "attrs", "version": "26.1.0", "vulns": []}
BAD = {"name": "requests", "version": "2.19.0", "vulns": [FLAW]}
UNSEEN = {"name": "arrow", "skip_reason": "Dependency not found on PyPI"}
OURS = {"name": "edgewatt", "skip_reason": "it is not on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        ([SOUND, OURS], CLEAN),
        ([SOUND, BAD], KNOWN),
        ([BAD, UNSEEN], KNOWN),
        ([SOUND, UNSEEN], UNKNOWN),
        ([OURS], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_only_what_was_looked_up_can_be_clean(packages, code):
    assert judged({"dependencies": packages})[0] == code


def test_a_person_reads_which_package_and_what_mends_it():
    _, said = judged({"dependencies": [BAD, SOUND, *[UNSEEN] * 7]})

    assert said[0] == "requests 2.19.0: PYSEC-2018-28 (CVE-2018-18074), mended in 2.20.0"
    assert said[1] == "2 of 9 packages were looked up, 1 advisories concern them"
    assert "and 2 more" in said[2]
    assert "2.19.0: X, not mended yet" in judged({"dependencies": [BAD | {"vulns": [{"id": "X"}]}]})[1][0]


def test_an_environment_that_is_not_there_is_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == UNKNOWN
    assert "make demo" in capsys.readouterr().err
