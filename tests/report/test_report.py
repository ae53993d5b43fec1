"""The report, from whole, spoilt and hostile records; its Markdown is read back by a CommonMark parser."""

from __future__ import annotations

import copy
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from selfimprove.errors import UnreadableError
from selfimprove.escaping import escape_markdown, escape_text
from selfimprove.recipe import Recipe
from selfimprove.report import RunRecords, report_markdown, report_tables, status_lines
from selfimprove.report.advice import advice
from selfimprove.report.records import read_run
from selfimprove.report.sections import sections
from selfimprove.report.series import losses
from selfimprove.store.journal import Journal
from selfimprove.store.looks import SealedRecord
from selfimprove.store.parsing import parsed
from selfimprove.store.records import BoundRecord, RoundRecord
from tests import example, paths

CASES = [json.loads(line) for line in (paths.CASES / "hostile_text.jsonl").open(encoding="utf-8")]
HOSTILE = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

DIGEST = "0" * 64


def side(correct: int) -> dict[str, Any]:
    rest = {"unparsed": 14, "timed_out": 0, "truncated": 3, "mean_tokens": 21.4}
    return {"n": 192, "correct": correct, "wrong": 178 - correct, "accuracy": correct / 192, **rest}


def stages() -> list[dict[str, Any]]:
    sample = {"rows": 256, "sampled_tokens": 10_000, "prompt_tokens": 20_000, "truncated": 3}
    harvest = {"examples": 256, "prefix": 230, "full": 26, "harvested_tokens": 4_000, "dropped": {"empty": 1}}
    train = {
        "steps": 16,
        "first_loss": 1.52,
        "last_loss": 0.87,
        "target_tokens": 4_000,
        "trained_prompt_tokens": 15_000,
    }
    counts = {
        "sample": sample,
        "harvest": harvest,
        "train": train,
        "merge": {},
        "judge": {"sampled_tokens": 2_000, "prompt_tokens": 3_000},
        "decide": {},
    }
    machine = {"seconds": 60.0, "peak_rss_mb": 900, "energy_j": 1200.0}
    return [{"stage": stage, **machine, "counts": told, "sha256": {}} for stage, told in counts.items()]


def round_record(number: int, accepted: bool) -> dict[str, Any]:
    word = "Accepted" if accepted else "Rejected"
    look = {
        "judged": 192,
        "wins": 20,
        "losses": 8,
        "evidence": 41.2,
        "threshold": 32.9,
        "gain": 0.06,
        "gain_upper": 0.2,
    }
    return {
        "format": 1,
        "round": number,
        "parent": number - 1,
        "chain": [],
        "stages": stages(),
        "scorecard": {
            "judged": 192,
            "total": 256,
            "wins": 20,
            "losses": 8,
            "champion": side(48),
            "challenger": side(60),
        },
        "prefixes": {"distinct_prefixes": 0.8, "prefix_entropy": 4.1, "mean_tokens": 20.3, "truncated": 0.01},
        "decision": {
            "accepted": accepted,
            "reason": "evidence",
            "sentence": f"{word}: for a reason.",
            "robust": accepted,
            "alpha": 0.025,
            "looks": [look],
        },
        "certificate": {
            "passed": True,
            "survival": 0.99,
            "agreement": 1.0,
            "kl": 0.0003,
            "failures": [],
            "sha256": "0" * 64,
        },
        "versions": {"selfimprove": "0.1.0", "torch": "2.13.0"},
    }


def sealed() -> dict[str, Any]:
    figures = {"base_accuracy": 0.3, "base_interval": [0.25, 0.36], "gain": 0.12, "gain_interval": [0.05, 0.18]}
    champion = {"champion_accuracy": 0.42, "champion_interval": [0.36, 0.48]}
    cost = {"seconds": 30.0, "sampled_tokens": 5_000, "prompt_tokens": 9_000}
    return {"format": 1, "looks": [{**cost, "look": 1, "rounds": 2, "champion": 1, "n": 256, **figures, **champion}]}


def beside(sentence: str) -> dict[str, Any]:
    """The last look's figures with a second decoding."""
    (look,) = sealed()["looks"]
    figures = {key: value for key, value in look.items() if key not in ("look", "rounds", "seconds")}
    drawn = {"temperature": 0.6, "samples": 1, "base_pass_at_k": 0.3, "champion_pass_at_k": 0.4}
    return {**drawn, **figures, "sentence": sentence}


def records(**changes: Any) -> RunRecords:  # noqa: ANN401 - any field of the records
    plain: dict[str, Any] = {
        "name": "demo",
        "recipe": {"format": 1, "seed": 3, "training": {"rank": 8, "alpha": 32.0}},
        "rounds": (round_record(1, True), round_record(2, False)),
        "sealed": sealed(),
        "rollbacks": (),
        "running": "",
        **changes,
    }
    bound = {"fingerprint": "f" * 64, "model": "m" * 64, "problems": "p" * 64, "recipe": plain["recipe"]}
    looks = parsed(plain["sealed"], SealedRecord, "sealed.json", lenient=True).looks if plain["sealed"] else ()
    return RunRecords(
        name=plain["name"],
        journal=Journal(Path("rounds/demo")),
        bound=parsed(bound, BoundRecord, "recipe.json", lenient=True),
        recipe=None,
        rounds=tuple(parsed(record, RoundRecord, "round.json", lenient=True) for record in plain["rounds"]),
        looks=looks,
        rollbacks=plain["rollbacks"],
        running=plain["running"],
    )


def readable(**changes: Any) -> RunRecords | None:  # noqa: ANN401 - any field of the records
    """The records, or None where a run couldn't be gone on with either."""
    try:
        return records(**changes)
    except UnreadableError:
        return None


def terminal(run: RunRecords, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        for part in report_tables(run):
            console.print(part)
    return captured.get()


def squeezed(text: str) -> str:
    return re.sub(r" +", " ", text)


def test_the_sealed_outcome_comes_first() -> None:
    text = terminal(records())
    assert text.index("Base 30.0% → champion 42.0%: gain +12.0 points, 95% interval +5.0 to +18.0") < 200
    assert "The champion is better than the base model." in text
    assert text.index("Outcome") < text.index("Rounds") < text.index("Cost") < text.index("Versions")


SPLIT = {"became_readable": 0.1, "became_right": 0.05, "became_unreadable": 0.02, "became_wrong": 0.01}


def test_gains_are_split_by_cause_where_the_records_tell_it() -> None:
    assert "What the gains are made of" not in terminal(records())
    told = round_record(1, True)
    told["scorecard"]["split"] = SPLIT
    told["placebo"] = {"gain_over_placebo": 0.13, "gain_interval": [0.1, 0.2], "split": SPLIT | {"became_wrong": 0}}
    drawn = beside("At temperature 0.6.") | {"split": SPLIT | {"became_right": 0.06}}
    look = sealed()["looks"][0] | {"split": SPLIT, "beside": drawn}
    text = squeezed(terminal(records(rounds=(told, round_record(2, False)), sealed={"looks": [look]}), 200))
    assert "on 256 problems: became readable +10.0, right +5.0, unreadable −2.0, wrong −1.0." in text
    for row in (
        "round 1 +10.0 +5.0 −2.0 −1.0 +6.2",
        "round 1 over placebo +10.0 +5.0 −2.0 0.0 +13.0",
        "sealed judging 1 +10.0 +5.0 −2.0 −1.0 +12.0",
        "sealed judging 1, at temperature 0.6 +10.0 +6.0 −2.0 −1.0 +12.0",
    ):
        assert row in text
    assert "round 2 +" not in text.split("What the gains are made of")[1].split("Evidence")[0]


def test_a_champion_that_is_the_base_has_no_gain_to_judge() -> None:
    same = {"champion": 0, "gain": 0.0, "gain_interval": [-0.01, 0.01], "champion_accuracy": 0.3}
    text = terminal(records(sealed={"looks": [sealed()["looks"][0] | same]}), 200)
    assert "Base 30.0% (95% interval 25.0 to 36.0%), on 256 problems." in text
    assert "Base and champion are the same model, so there is no gain to judge." in text
    assert "chance" not in text


def test_a_run_without_its_sealed_outcome_says_so() -> None:
    assert "Not judged yet" in terminal(records(sealed=None))


def test_a_second_look_is_named_as_one() -> None:
    twice = {"looks": sealed()["looks"] * 2}
    assert "have been judged twice;" in terminal(records(sealed=twice))


def test_rounds_show_accuracy_flips_evidence_and_decision() -> None:
    text = squeezed(terminal(records()))
    assert "1 base 192/256 25.0% 31.2% +6.2 20–8 accepted" in text
    assert "2 round 1 192/256 25.0% 31.2% +6.2 20–8 rejected" in text
    assert "1 1 41.2 32.9 0.025 +20.0 evidence yes" in text
    assert "2 1 41.2 32.9 0.025 +20.0 evidence no" in text
    assert "Round 2: Rejected: for a reason." in text


def test_what_picking_champions_on_one_set_can_have_cost_is_told_in_points() -> None:
    rounds = [round_record(1, accepted=True), round_record(2, accepted=False)]
    for uses, record in enumerate(rounds, start=1):
        record["scorecard"]["uses_of_heldout"] = uses
    text = " ".join(line for part in sections(records(rounds=rounds)) for line in part.sentences)
    assert (
        "used for 2 decisions. Because 1 champion was chosen on them, luck may inflate the champion's measured gain "
        "over the base model. In the worst case simulated (true gains so small that luck matters most), luck adds 5.7 "
        "points on average, and " in text
    )
    rounds[0]["decision"]["accepted"] = False
    text = " ".join(line for part in sections(records(rounds=rounds)) for line in part.sentences)
    assert "used for 2 decisions." in text
    assert "luck" not in text


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"scorecard.wins": 2, "scorecard.losses": 1}, "Only 3 of 192 problems flipped"),
        (
            {"scorecard.wins": 9, "scorecard.losses": 30},
            "In round 2, the challenger won 9 problems and lost 30, so the update did harm",
        ),
        ({"decision.reason": "undecided"}, "A gain of +6.2 points on 192 problems is too small to be told from chance"),
        ({"decision.reason": "undecided"}, "try a larger problems.heldout_size, or gate.samples = 4."),
        (
            {"decision.reason": "undecided", "scorecard.challenger.answers": 768},
            "try a larger problems.heldout_size.",
        ),
        (
            {"decision.reason": "futile"},
            "In round 2, the challenger won 20 problems and lost 8. The difference is too small",
        ),
        ({"scorecard.challenger.unparsed": 60}, "31.2% of the challenger's answers could not be read: say in"),
        (
            {"scorecard.challenger.unparsed": 60, "scorecard.challenger.truncated": 60},
            "could not be read: raise sampling.max_new_tokens",
        ),
        (
            {"scorecard.champion.truncated": 60, "decision.reason": "futile"},
            "31.2% of the champion's answers were cut at the token limit, and its cut training solutions have no "
            "answer: raise sampling.max_new_tokens.",
        ),
        (
            {"scorecard.champion.truncated": 30, "decision.reason": "futile"},
            "The difference is too small to accept the challenger: try",
        ),
        ({"certificate.functional_share": 0.2}, "The merge kept 20.0% of the update"),
        ({"decision.reason": "guard sums"}, "A guard rejected the challenger"),
        ({"decision.reason": "truncation"}, "A guard rejected the challenger"),
        ({"decision.accepted": True}, ""),
        ({"scorecard.judged": None}, ""),
    ],
)
def test_a_rejected_round_ends_with_what_to_change(changed: dict[str, Any], told: str) -> None:
    plain = round_record(2, accepted=False)
    for key, value in changed.items():
        *path, last = key.split(".")
        place = plain
        for name in path:
            place = place[name]
        place[last] = value
    found = advice(parsed(plain, RoundRecord, "round.json", lenient=True))
    assert told in found
    assert bool(found) == bool(told)
    if found:
        assert found in terminal(records(rounds=[round_record(1, accepted=True), plain]), 300)


def test_a_run_whose_last_rounds_were_rejected_is_finished(tmp_path: Path) -> None:
    whole = example.records()
    assert (whole.rounds[-1].accepted, example.last_look().rounds) == (False, 3)
    assert not whole.unfinished
    stopped = Path(shutil.copytree(example.EXAMPLE, tmp_path / "example"))
    shutil.rmtree(stopped / "0005")  # killed between two rejected rounds
    events = (stopped / "events.jsonl").read_bytes().splitlines(keepends=True)
    last = max(place for place, line in enumerate(events) if b'"round_started"' in line)
    (stopped / "events.jsonl").write_bytes(b"".join(events[:last]))
    assert read_run(tmp_path, "example").unfinished
    assert replace(whole, looks=whole.looks[:1]).unfinished  # the champion of round 3 is not judged
    assert replace(whole, looks=()).unfinished


def test_rejected_rounds_are_charged() -> None:
    text = squeezed(terminal(records()))
    assert "sample 2:00 20,000 40,000 – –" in text
    assert "total 12:00 24,000 46,000 8,000 30,000" in text
    assert "per point gained 1:00 2,000 3,833 667 2,500" in text  # over 12 points
    assert "sealed (not in the total) 30 s 5,000 9,000 – –" in text
    assert "whole run 900 14,400" in text
    assert "per point gained – 1,200" in text
    told = "the cost of rounds 1 and 2 divided by the sealed gain of +12.0 points. This includes 1 rejected round."
    assert told in terminal(records(), 200)


def test_a_column_that_no_row_has_a_figure_for_is_left_out() -> None:
    text = terminal(records())
    assert "GPU memory" not in text
    assert "energy, J" in text
    plain = [round_record(1, True)]
    for stage in plain[0]["stages"]:
        del stage["energy_j"]
    assert "energy, J" not in terminal(records(rounds=plain))


def test_the_whole_run_has_the_highest_peak_and_all_energy() -> None:
    rounds = [round_record(1, True), round_record(2, False)]
    rounds[1]["stages"][2]["peak_rss_mb"] = 1500
    text = squeezed(terminal(records(rounds=rounds)))
    assert "The row “whole run” has the highest peak of the run, and the run's total energy if energy was" in text
    assert "whole run 1,500 14,400" in text


def test_answers_that_a_checker_of_ones_own_failed_over_are_counted() -> None:
    assert " timed out error " not in squeezed(terminal(records(), 120))
    failed = round_record(1, True)
    failed["scorecard"]["challenger"]["error"] = 3
    text = squeezed(terminal(records(rounds=(failed,)), 120))
    assert "correct wrong unparsed timed out error truncated" in text
    assert "0 → 0 – → 3 3 → 3" in text


def test_the_loss_of_a_last_batch_of_few_rows_is_not_the_last_loss() -> None:
    record = round_record(1, True)
    record["stages"][2]["counts"] |= {"examples": 129, "losses": [1.5, 1.0, 4.0], "last_loss": 4.0, "steps": 3}
    run = records(rounds=(record,))
    assert "3 1.52 4" in squeezed(terminal(run))
    text = squeezed(terminal(replace(run, recipe=Recipe()), 120))  # batches of 64 rows
    assert "3 1.52 1" in text
    assert "“Last loss” is the loss of the last full batch" in text
    loss = losses(run.rounds[0], 64)
    assert (loss.points, loss.partial) == (((1, 1.5), (2, 1.0)), ((3, 4.0),))


def test_rounds_after_the_last_look_are_not_charged_to_it() -> None:
    text = squeezed(terminal(records(rounds=(round_record(1, True), round_record(2, False), round_record(3, False)))))
    assert "total 18:00" in text
    assert "per point gained 1:00" in text
    text = " ".join(text.split())
    assert "the cost of rounds 1 and 2 divided by the sealed gain of" in text
    assert "This includes 1 rejected round. Round 3 came after the last sealed judging and is not counted." in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sealed": None}, "not known before the sealed problems are judged"),
        ({"gain": -0.01}, "none, because the sealed gain is −1.0 points"),
        ({"gain": 0.0, "rounds": (round_record(1, False),)}, "none, because no round was accepted"),
    ],
)
def test_without_a_gain_a_point_has_no_price(changes: dict[str, Any], told: str) -> None:
    gain = changes.pop("gain", None)
    if gain is not None:
        changes["sealed"] = {"looks": [{**sealed()["looks"][0], "gain": gain}]}
    text = terminal(records(**changes), 200)
    assert told in text
    assert text.count("per point gained") == 1
    assert "interval includes zero, so this cost" not in text


def test_a_gain_that_may_be_chance_says_so_of_its_price() -> None:
    doubtful = {"looks": [{**sealed()["looks"][0], "gain_interval": [-0.01, 0.2]}]}
    assert "zero, so this cost is" in terminal(records(sealed=doubtful), 200)


def test_only_keys_that_differ_from_the_defaults_are_shown() -> None:
    text = squeezed(terminal(records()))
    assert "training.rank 8 16" in text
    assert "seed 3 0" in text
    assert "training.alpha" not in text
    assert "format" not in text


def test_versions_that_changed_between_rounds_are_all_named() -> None:
    later = round_record(2, False) | {"versions": {"torch": "2.14.0"}}
    assert "torch 2.13.0, then 2.14.0" in squeezed(terminal(records(rounds=(round_record(1, True), later))))


def test_a_failed_certificate_gives_its_reason() -> None:
    failed = round_record(1, False) | {
        "certificate": {"passed": False, "failures": ["nothing survived"], "sha256": DIGEST}
    }
    text = terminal(records(rounds=(failed,)))
    assert "failed" in text
    assert "nothing survived" in text


def test_the_report_fits_eighty_columns_without_breaking_a_word_of_the_rounds() -> None:
    text = terminal(records(), 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "challenger" in text
    assert "accepted" in text


@pytest.mark.parametrize("width", [1, 20, 40])
def test_a_narrow_terminal_still_gets_a_report(width: int) -> None:
    assert terminal(records(), width)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 - JSON
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths(value[key], (*path, key))
    if isinstance(value, list):
        for place in range(len(value)):
            yield from paths(value[place], (*path, place))


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:  # noqa: ANN401 - JSON
    """A copy of `value` with `new` under `path`; `...` removes it."""
    fresh = copy.deepcopy(value)
    inner = fresh
    for step in path[:-1]:
        inner = inner[step]
    if new is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return fresh


SPOILT = (..., "text", 10**400, {})
MORE_SPOILT = (None, -1, float("nan"), [], True)


@pytest.mark.parametrize("values", [SPOILT, pytest.param(MORE_SPOILT, marks=pytest.mark.slow)], ids=["some", "more"])
def test_a_missing_or_spoilt_key_spoils_a_cell_not_the_report(values: tuple[Any, ...]) -> None:
    for path in paths(round_record(1, True)):
        for new in values:
            if run := readable(rounds=(changed(round_record(1, True), path, new),)):
                assert report_markdown(run)
                assert len(status_lines([run])) == 1
    for path in paths(sealed()):
        for new in values:
            if run := readable(sealed=changed(sealed(), path, new)):
                assert report_markdown(run)
                assert len(status_lines([run])) == 1


def test_a_missing_figure_is_a_dash() -> None:
    without = changed(round_record(1, True), ("scorecard", "judged"), ...)
    spoilt = changed(without, ("scorecard", "wins"), "many")
    assert "1 base – 25.0% 31.2% +6.2 ––8 accepted" in squeezed(terminal(records(rounds=(spoilt,))))


def test_what_a_run_steers_by_is_refused_by_name() -> None:
    with pytest.raises(UnreadableError, match=r"round\.json: `decision\.accepted`"):
        records(rounds=(changed(round_record(1, True), ("decision", "accepted"), "yes"),))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(round_record(1, True))), JSON), JSON, st.dictionaries(st.text(), JSON))
def test_no_record_breaks_the_report(record: dict[str, Any], looks: Any, recipe: dict[str, Any]) -> None:  # noqa: ANN401
    run = readable(rounds=({**round_record(1, True), **record},), sealed={"looks": looks}, recipe=recipe)
    if run:
        assert report_markdown(run)
        assert terminal(run, 60)
        assert all(line.isprintable() for line in status_lines([run]))


def hostile_records(text: str) -> RunRecords:
    record = round_record(1, False) | {
        "versions": {text: text},
        "certificate": {"passed": False, "failures": [text], "sha256": DIGEST},
    }
    record["decision"]["sentence"] = record["decision"]["reason"] = text
    record["stages"][0]["stage"] = text
    looks = sealed() | {"looks": [{**sealed()["looks"][0], "beside": beside(text)}]}
    return records(name=text, rounds=(record,), recipe={text: text}, sealed=looks, running=text)


@HOSTILE
def test_hostile_records_reach_no_terminal(case: dict[str, Any]) -> None:
    run = hostile_records(case["text"] * case["times"])
    assert terminal(run, 80).replace("\n", "").isprintable()
    assert all(line.isprintable() for line in status_lines([run]))


PARSER = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])


@HOSTILE
def test_hostile_text_in_markdown_is_text(case: dict[str, Any]) -> None:
    text = case["text"] * case["times"]
    tokens = PARSER.parse(escape_markdown(text, 200))
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    inner = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inner} <= {"text", "text_special"}
    assert "".join(child.content for child in inner).strip() == escape_text(text, 200).strip()


@given(st.text(alphabet=st.sampled_from("ab1 .-+=#*_`~|\\[]()<>&!:/@$\"'{}^\n"), max_size=30))
def test_any_text_in_markdown_is_text(text: str) -> None:
    inner = [child for token in PARSER.parse(escape_markdown(text, 200)) for child in token.children or []]
    assert {child.type for child in inner} <= {"text", "text_special"}
    assert "".join(child.content for child in inner) == escape_text(text, 200)


@HOSTILE
def test_hostile_records_leave_the_markdown_in_shape(case: dict[str, Any]) -> None:
    tame, hostile = (report_markdown(hostile_records(text)) for text in ("tame", case["text"] * case["times"]))
    allowed = {token.type for token in PARSER.parse(tame)}
    tokens = PARSER.parse(hostile)
    assert {token.type for token in tokens} <= allowed
    inner = {child.type for token in tokens for child in token.children or []}
    assert inner <= {"text", "text_special"}
    assert "<script" not in PARSER.render(hostile)


def test_status_is_one_line_a_run() -> None:
    fresh = records(name="b", rounds=(), sealed=None, running="process 77 on host")
    done, begun = status_lines([records(), fresh])
    assert done.startswith("demo  2 rounds, champion: the model of round 1, last: rejected (+6.2 points)")
    assert done.endswith("sealed: 30.0% → 42.0% (+12.0 points, 95% +5.0 to +18.0)")
    assert begun == "b     0 rounds, champion: the base model, sealed: not judged, running: process 77 on host"
    assert status_lines([]) == []


def test_status_tells_no_gain_between_a_model_and_itself() -> None:
    (look,) = sealed()["looks"]
    rejected = records(rounds=(round_record(1, False),), sealed={"format": 1, "looks": [{**look, "champion": 0}]})
    (line,) = status_lines([rejected])
    assert line.endswith("sealed: 30.0% (base and champion are the same model)")
