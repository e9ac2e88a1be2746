"""The page of benchmarks says what was measured, on what, and which budgets are missed."""

from benchmarks._page import page


def run(benchmark="ingest", *, figures, arguments=(), at=1_800_000_000.0, machine="2 × Testium"):
    told = {"benchmark": benchmark, "arguments": list(arguments), "at": at, "load": 0.2, "took_s": 12.0, "exit_code": 0}
    return told | {"machine": {"processor": machine}, "figures": figures}


def written(*runs):
    return page(runs, purpose=lambda name: f"What {name} is for.")


RATE = {"name": "rows", "value": 12_085.4, "unit": "messages/s", "reference": "bare 18,581/s", "ratio": 0.67}


def test_a_figure_stands_with_its_unit_its_peer_and_its_command():
    text = written(run(figures=[RATE | {"budget": 0.85, "met": False}]))

    assert "| rows | 12,085 | messages/s | bare 18,581/s | 0.67 | 0.85 | NO |" in text
    assert "`python -m benchmarks ingest`, 2027-01-15 08:00 UTC, 12 s, load before it 0.2." in text
    assert "What ingest is for." in text
    assert "2 × Testium" in text


def test_a_missed_budget_is_said_at_the_top():
    met = {"name": "one prediction", "value": 0.2, "unit": "ms", "budget": 1, "met": True}

    text = written(run(figures=[RATE | {"budget": 0.85, "met": False}, met]))

    assert "1 of 2 budgets are met. Missed: rows." in text


def test_figures_of_another_machine_are_never_mixed_in():
    old = run("predict", figures=[RATE | {"name": "of the other machine"}], at=1.0, machine="64 × Other")

    text = written(old, run(figures=[RATE]))

    assert "of the other machine" not in text
    assert "64 × Other" not in text


def test_a_run_of_other_size_has_a_section_of_its_own_with_the_command_that_repeats_it():
    text = written(run(figures=[RATE]), run(figures=[RATE], arguments=["--messages", "100000"]))

    assert "## ingest\n" in text
    assert "## ingest (--messages 100000)" in text
    assert "`python -m benchmarks ingest -- --messages 100000`" in text


def test_a_benchmark_that_failed_is_not_shown_as_if_it_had_ended_well():
    assert "**It ended with 1.**" in written(run(figures=[RATE]) | {"exit_code": 1})


def test_a_line_in_a_cell_does_not_break_the_table():
    assert "a\\|b" in written(run(figures=[RATE | {"reference": "a|b"}]))
