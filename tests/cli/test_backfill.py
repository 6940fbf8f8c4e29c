"""Back-fills as operators and scripts do them: commands in processes of their own, workers, and the sandbox."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connector.backfill import library, plans
from connector.cli import demo
from connector.crms import Query
from connector.errors import BadSettings, Refused
from connector.model import State, TextRequest
from connector.sandbox import Sandbox
from connector.sandbox.crms.salesforce.schema import OBJECTS as SCHEMA
from tests.conftest import created
from tests.support import command
from tests.support.pipe import Pipe, running, wait_for

PATIENCE = 120
NOBODY = "500zzzzzzzzzzzzAAA"


class Operator:
    """Somebody at the command line of a running connector."""

    def __init__(self, pipe: Pipe, **more: str) -> None:
        self.pipe = pipe
        self.environment = (
            os.environ
            | demo.environment(pipe.box, pipe.url, 1, "t" * 30)
            | {
                "CONNECTOR_CCAIP_REQUESTS_PER_SECOND": "0",
                **more,
            }
        )

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "connector", "backfill", *arguments],
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.pipe.logs,
            **more,
        )

    def does(self, *arguments: str, status: int = 0, given: str | None = None) -> str:
        return "".join(self.says(*arguments, status=status, given=given))

    def says(self, *arguments: str, status: int = 0, given: str | None = None) -> tuple[str, str]:
        """What the command writes, and what it says on standard error."""
        done = command.run(("backfill", *arguments), self.environment, self.pipe.logs, given or "")
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

    def plan(self, *arguments: str, given: str | None = None) -> dict[str, Any]:
        planned: dict[str, Any] = json.loads(self.says("salesforce", *arguments, "--json", given=given)[0])
        return planned

    def run(self, plan: str, *more: str, status: int = 0) -> str:
        return self.does("run", plan, "--cooling-off", "0", *more, status=status)

    def outcomes(self, plan: str) -> list[dict[str, Any]]:
        report = command.run(("backfill", "report", plan, "--json", "-"), self.environment, self.pipe.logs)
        return [json.loads(line) for line in report.stdout.splitlines()]


@pytest.fixture(scope="module")
def pipe(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, f"connector_test_backfill_{os.getpid()}", template) as url,
        running(box, url, tmp_path_factory.mktemp("logs"), busy_seconds="0") as pipe,
    ):
        yield pipe


@pytest.fixture
def operator(pipe: Pipe) -> Operator:
    return Operator(pipe)


@pytest.fixture
def as_environment(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> Operator:
    for name, value in operator.environment.items():
        if name.startswith("CONNECTOR_"):
            monkeypatch.setenv(name, value)
    return operator


def texts(pipe: Pipe) -> Counter[str | None]:
    return Counter(one.ticket_id for one in pipe.box.ccaip.texts)


def test_a_plan_says_what_will_happen_and_a_run_does_it(pipe: Pipe, operator: Operator, tmp_path: Path) -> None:
    cases = pipe.box.salesforce.make_cases(40, Subject="Recall")
    closed = pipe.box.salesforce.make_cases(3, Subject="Recall", Status="Closed")
    without = pipe.box.salesforce.make_cases(2, Subject="Recall", contact={"MobilePhone": None})
    before = texts(pipe)
    file = tmp_path / "plan.csv"
    plan = operator.plan("--where", "Subject = 'Recall'", "--csv", str(file))
    assert (plan["cases"], plan["texts"], plan["segments"]) == (45, 40, 40)
    skipped = {one["why"]: one for one in plan["skipped"]}
    assert skipped["the case is closed"]["cases"] == 3
    assert set(skipped["the case is closed"]["examples"]) == set(closed)
    assert skipped["no usable phone: there is no phone number on the ticket"]["cases"] == 2
    assert len(plan["first"]) == 5
    assert all("•" in one["to"] and one["message"].startswith("Hi Customer") for one in plan["first"])
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert Counter(row["state"] for row in rows) == {"waiting": 40, "skipped": 5}
    assert [row["ticket_id"] for row in rows if row["ticket_id"] in cases] == cases[::-1], "newest first"
    assert texts(pipe) == before, "a plan sends nothing"
    recorded = "select after from audit where what = 'backfill.plan' and about = %s"
    [planned] = pipe.query(recorded, f"plan {plan['plan']}")
    assert planned["after"] == {"crm": "salesforce", "rule": None}

    assert "is done" in operator.run(plan["plan"], "--canary", "5")
    assert all(texts(pipe)[case] == 1 for case in cases)
    assert not any(texts(pipe)[case] for case in closed + without)
    outcomes = operator.outcomes(plan["plan"])
    assert Counter(one["state"] for one in outcomes) == {"sent": 40, "skipped": 5}
    wait_for(
        lambda: all(one["ticket_notified"] for one in operator.outcomes(plan["plan"]) if one["state"] == "sent"),
        "all cases are told",
    )
    for case in cases:
        assert pipe.box.salesforce.case(case)["CCAIP_SMS_Status__c"] == "Sent"
    again = operator.plan("--where", "Subject = 'Recall'")
    assert again["texts"] == 0, "whoever was texted for that reason is not texted again"
    assert {one["why"]: one["cases"] for one in again["skipped"]}["another text is for the same reason"] == 40
    assert "is done" in operator.does("run", plan["plan"]), "and there is nothing more to do"


@pytest.mark.parametrize("form", ["lines", "csv", "soql"])
def test_cases_can_be_given_in_any_form(pipe: Pipe, operator: Operator, form: str, tmp_path: Path) -> None:
    cases = pipe.box.salesforce.make_cases(5, Subject=f"form {form}")
    if form == "soql":
        file = tmp_path / "cases.soql"
        file.write_text("SELECT Id, CaseNumber FROM Case\nWHERE Subject = 'form soql'\nORDER BY Id LIMIT 4;\n")
        plan = operator.plan("--query", str(file))
        assert (plan["cases"], plan["texts"]) == (4, 4)
        return
    header, row = ("Number,Case ID\n", "x,{}\n") if form == "csv" else ("", "{}\n")
    ids = (*cases[:4], cases[0][:15], "nonsense", "", cases[4], NOBODY)
    given = "\ufeff" + header + "".join(row.format(one) for one in ids)
    plan = operator.plan("--ids", "-", given=given)
    assert (plan["cases"], plan["texts"], plan["twice"]) == (7, 5, 1)
    assert {one["why"].split(",")[0].split(":")[0]: one["examples"] for one in plan["skipped"]} == {
        "this is no id of a Salesforce record": ["nonsense"],
        "the ticket does not exist": [NOBODY],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one of --where, --query and --ids"),
        (("--where", "a = 1", "--ids", "-"), "one of --where, --query and --ids"),
        (("--where", "Nothing__c ="), "MALFORMED_QUERY"),
        (("--where", "Nothing__c = 1"), "INVALID_FIELD"),
        (("--ids", "missing.csv"), "missing.csv"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_words(operator: Operator, arguments: tuple[str, ...], words: str) -> None:
    assert words in operator.does("salesforce", *arguments, status=2)


@pytest.mark.parametrize(
    "soql", ["SELECT Id FROM Contact", "DELETE Case", "SELECT (SELECT Id FROM Tasks) FROM Case", ""]
)
def test_a_query_of_something_else_is_refused_and_leaves_no_plan(as_environment: Operator, soql: str) -> None:
    with library.opened() as fill:
        before = len(plans.listed(fill.connection, 1000))
        with pytest.raises(Refused, match="expected a query of Case"):
            fill.plan("salesforce", Query(whole=soql), TextRequest())
        assert len(plans.listed(fill.connection, 1000)) == before


def test_a_report_of_a_plan_that_is_not_there_leaves_the_file_alone(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "keep.csv"
    file.write_text("precious")
    operator.does("report", "nosuch", "--csv", str(file), status=2)
    assert file.read_text() == "precious"


@pytest.mark.parametrize("text_request", [TextRequest(rule="nope"), TextRequest(template="nope")])
def test_a_rule_or_template_that_the_mapping_does_not_have_is_refused(
    as_environment: Operator, text_request: TextRequest
) -> None:
    with library.opened() as fill, pytest.raises(BadSettings, match=r"there is no \w+ nope; there is: requested"):
        fill.plan("salesforce", iter(["500000000000001AAA"]), text_request)


def test_a_plan_that_never_ran_is_neither_resumed_nor_paused(pipe: Pipe, operator: Operator) -> None:
    """Resumed, it would run without the canary that nobody has chosen to do without."""
    cases = pipe.box.salesforce.make_cases(2, Subject="never ran")
    plan = operator.plan("--where", "Subject = 'never ran'")["plan"]

    assert f"has never run: there is nothing to resume. To run it: connector backfill run {plan}" in operator.does(
        "resume", plan, status=2
    )
    assert "is planned: there is nothing to pause" in operator.does("pause", plan, status=2)

    assert json.loads(operator.says("status", plan, "--json")[0])["state"] == "planned"
    assert not any(texts(pipe)[case] for case in cases)


def test_a_plan_that_is_over_says_so_to_every_command(pipe: Pipe, operator: Operator) -> None:
    pipe.box.salesforce.make_cases(2, Subject="over")
    done, cancelled = (operator.plan("--where", "Subject = 'over'")["plan"] for _ in range(2))
    operator.run(done)
    assert "2 of 2 cases: 2 cancelled" in operator.does("cancel", cancelled)

    for again in ("run", "resume"):
        assert "2 of 2 cases: 2 sent" in operator.does(again, done)
        assert "was cancelled and is not run again" in operator.does(again, cancelled, status=2)
    for ending in ("pause", "cancel"):
        assert f"is done: there is nothing to {ending}" in operator.does(ending, done, status=2)
    assert "is cancelled: there is nothing to pause" in operator.does("pause", cancelled, status=2)
    assert "is cancelled already" in operator.does("cancel", cancelled)


def test_status_and_report_count_each_case_of_the_plan_once(pipe: Pipe, operator: Operator) -> None:
    org = pipe.box.salesforce
    org.make_cases(6, Subject="adds up")
    org.make_cases(3, Subject="adds up", Status="Closed")
    leaves = org.make_cases(1, Subject="adds up")[0]
    plan = operator.plan("--where", "Subject = 'adds up'")["plan"]
    org.edit(leaves, {"Subject": "something else"})
    before = json.loads(operator.says("status", plan, "--json")[0])["cases"]
    operator.run(plan)

    shown = operator.does("status", plan)
    after = json.loads(operator.says("status", plan, "--json")[0])["cases"]

    assert (before, after) == ({"skipped": 3, "waiting": 7}, {"sent": 6, "skipped": 4})
    assert "10 of 10 cases: 6 sent, 4 skipped" in shown
    assert Counter(one["state"] for one in operator.outcomes(plan)) == after


@pytest.mark.parametrize("command", ["run", "resume", "status", "pause", "cancel", "report"])
def test_a_plan_that_is_not_there_is_said_so(operator: Operator, command: str) -> None:
    assert "no plan" in operator.does(command, "nosuch", status=2)


def test_one_case_of_each_customer_the_newest(pipe: Pipe, operator: Operator) -> None:
    number = {"MobilePhone": "(415) 555-0177"}
    cases = pipe.box.salesforce.make_cases(3, Subject="thrice", contact=number)
    plan = operator.plan("--where", "Subject = 'thrice'")
    assert (plan["texts"], plan["skipped"][0]["why"]) == (1, plans.ANOTHER_CASE)
    operator.run(plan["plan"])
    assert [texts(pipe)[case] for case in cases] == [0, 0, 1]


def test_a_case_that_no_longer_fits_its_plan_is_not_texted(pipe: Pipe, operator: Operator) -> None:
    org = pipe.box.salesforce
    stays, closes, leaves, moves, opts_out = cases = org.make_cases(5, Subject="changes", Priority="High")
    plan = operator.plan("--where", "Subject = 'changes' AND Priority = 'High'")
    assert plan["texts"] == 5
    org.edit(closes, {"Status": "Closed"})
    org.edit(leaves, {"Priority": "Low"})
    for case, change in ((moves, {"MobilePhone": "(415) 555-0188"}), (opts_out, {"CCAIP_SMS_Opt_Out__c": True})):
        org.store.update(SCHEMA["Contact"], org.case(case)["ContactId"], change, org.human_user_id)
    operator.run(plan["plan"])
    assert [texts(pipe)[case] for case in cases] == [1, 0, 0, 0, 0]
    whys = {one["ticket_id"]: one["why"] for one in operator.outcomes(plan["plan"]) if one["ticket_id"] != stays}
    assert whys == {
        closes: "the case is closed",
        leaves: "the plan's query does not find the case any more",
        moves: "the customer's number has changed since the plan",
        opts_out: "the customer has opted out, as the ticket says",
    }


def have_left(pipe: Pipe, cases: Sequence[str], count: float) -> bool:
    """Whether so many texts of these cases were sent."""
    sent = texts(pipe)
    return sum(sent[case] for case in cases) >= count


def test_killed_three_times_and_continued_it_texts_each_once(pipe: Pipe) -> None:
    cases = pipe.box.salesforce.make_cases(1000, Subject="kill")
    operator = Operator(pipe)
    plan = operator.plan("--where", "Subject = 'kill'")["plan"]
    for share in (0.1, 0.4, 0.7):
        process = operator.start("run", plan, "--canary", "20", "--cooling-off", "0")
        wait_for(partial(have_left, pipe, cases, 1000 * share), f"{share:.0%} have left")
        process.send_signal(signal.SIGKILL)
        process.communicate()
    operator.run(plan, "--canary", "20")
    assert {texts(pipe)[case] for case in cases} == {1}
    told = lambda: all(pipe.box.salesforce.case(case)["CCAIP_Chat_Id__c"] for case in cases)  # noqa: E731
    wait_for(told, "all cases are told", 60)


def test_whom_an_agent_texts_meanwhile_is_not_texted_again(pipe: Pipe) -> None:
    cases = pipe.box.salesforce.make_cases(300, Subject="agent")
    operator = Operator(pipe)
    plan = operator.plan("--where", "Subject = 'agent'")["plan"]
    process = operator.start("run", plan, "--canary", "5", "--cooling-off", "0")
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda case: pipe.send(case).json(), cases[:10]))
    assert {answer["state"] for answer in answers} <= {"sent", "skipped"}
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert {texts(pipe)[case] for case in cases} == {1}


def test_a_canary_that_cannot_sing_stops_everything(server: str, template: str, tmp_path: Path) -> None:
    with (
        Sandbox(port=0, requests_per_second=0).running() as box,
        created(server, f"connector_test_canary_{os.getpid()}", template) as url,
        running(box, url, tmp_path, ccaip_outbound_number="+16285550111") as pipe,
    ):
        cases = box.salesforce.make_cases(50)
        operator = Operator(pipe, CONNECTOR_CCAIP_OUTBOUND_NUMBER="+16285550111")
        plan = operator.plan("--ids", "-", given="\n".join(cases))["plan"]
        said = operator.run(plan, "--canary", "10", status=2)
        assert "stopped: sending is paused: outbound_number is not found" in said
        assert box.ccaip.texts == []
        states = pipe.query("select state, count(*)::int as n from texts group by state")
        assert states == [], "the canary is back in the plan, and nothing else was taken in"
        assert {box.salesforce.case(case)["CCAIP_SMS_Status__c"] for case in cases} == {None}


def test_too_many_failures_stop_it(pipe: Pipe, operator: Operator) -> None:
    cases = pipe.box.salesforce.make_cases(60, Subject="fails")
    pipe.box.ccaip.settings.blocklist = [pipe.box.salesforce.case(case)["ContactMobile"] for case in cases]
    try:
        plan = operator.plan("--where", "Subject = 'fails'")["plan"]
        said = operator.run(plan, "--canary", "10", "--max-failed", "20", status=2)
    finally:
        pipe.box.ccaip.settings.blocklist = []
    assert "texts so far failed or are unknown; allowed: 20%" in said


def test_ctrl_c_pauses_and_it_goes_on_and_can_be_cancelled(
    pipe: Pipe, server: str, template: str, tmp_path: Path
) -> None:
    with (
        Sandbox(port=0).running() as box,
        created(server, f"connector_test_pause_{os.getpid()}", template) as url,
        running(box, url, tmp_path, ccaip_requests_per_second="10") as slow,
    ):
        cases = box.salesforce.make_cases(200)
        operator = Operator(slow, CONNECTOR_CCAIP_REQUESTS_PER_SECOND="10")
        plan = operator.plan("--ids", "-", given="\n".join(cases))["plan"]
        process = operator.start("run", plan, "--canary", "3", "--cooling-off", "0")
        wait_for(lambda: len(box.ccaip.texts) > 20, "it is under way")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2
        assert "is paused" in out
        assert f"connector backfill run {plan}" in out
        left = len(box.ccaip.texts)
        time.sleep(2)
        assert len(box.ccaip.texts) == left, "a pause is a pause"
        assert "runs" in operator.does("resume", plan)
        # Those that waited for their slots when it was paused, for half a minute, do not stand in the way.
        wait_for(lambda: len(box.ccaip.texts) > left + 10, "it goes on", 10)
        assert "is cancelled" in operator.does("cancel", plan)
        left = len(box.ccaip.texts)
        time.sleep(2)
        assert len(box.ccaip.texts) <= left + 1
        assert "was cancelled and is not run again" in operator.does("run", plan, status=2)
        assert {row["state"] for row in slow.query("select state from texts")} == {"sent"}, "none is left as cancelled"
        assert Counter(one["state"] for one in operator.outcomes(plan)) == {
            "sent": len(box.ccaip.texts),
            "cancelled": 200 - len(box.ccaip.texts),
        }
        assert max(texts(slow).values()) == 1


def being_made(pipe: Pipe, operator: Operator, seconds: float) -> tuple[subprocess.Popen[str], str]:
    """A command that makes a plan, and waits so long for the CRM; the plan."""
    [case] = pipe.box.salesforce.make_cases(1)
    pipe.box.faults.add("delay", side="salesforce", route="query", seconds=seconds, match=case)
    process = operator.start("salesforce", "--where", f"Id = '{case}'")
    making = partial(pipe.query, "select id from plans where state = 'planning'")
    return process, wait_for(making, "it is being made")[0]["id"]


def test_a_plan_whose_command_was_killed_is_cancelled(pipe: Pipe, operator: Operator) -> None:
    process, plan = being_made(pipe, operator, 15)
    assert f"To give it up: connector backfill cancel {plan}" in operator.does("status", plan)

    process.kill()
    process.communicate()

    wait_for(lambda: not pipe.query("select id from plans where state = 'planning'"), "it is cancelled")
    assert "is cancelled: it was not finished" in operator.does("status", plan, status=2)


def test_a_plan_that_is_cancelled_while_it_is_made_is_said_to_be(pipe: Pipe, operator: Operator) -> None:
    process, plan = being_made(pipe, operator, 5)

    assert f"Plan {plan} is cancelled." in operator.does("cancel", plan)
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert f"Error: Plan {plan} was cancelled while it was being made.\n" in said
    assert "is cancelled: by an operator" in operator.does("status", plan, status=2)


def test_nobody_watches_and_it_pauses(pipe: Pipe, as_environment: Operator) -> None:
    cases = pipe.box.salesforce.make_cases(3, Subject="alone")
    with library.opened() as fill:
        plan = fill.plan("salesforce", iter(cases), TextRequest())
        assert plans.start(fill.connection, plan, 1, 0.1, 3600, 0.5)
        wait_for(lambda: plans.found(fill.connection, plan).state is plans.PlanState.PAUSED, "it pauses", 30)
    assert sum(texts(pipe)[case] for case in cases) <= 1


def test_a_script_does_it_in_a_dozen_lines(pipe: Pipe, as_environment: Operator) -> None:
    cases = pipe.box.salesforce.make_cases(25)
    for _ in range(2):  # the same script again texts nobody again
        with library.opened() as fill:
            ids = fill.take_in("salesforce", cases, TextRequest(rule="requested"), "spring recall")
            outcomes = list(fill.outcomes(ids, patience=60))
        assert [one.state for one in outcomes] == [State.SENT] * 25
        assert all(one.chat_id for one in outcomes)
    assert {texts(pipe)[case] for case in cases} == {1}


def test_a_plan_of_twenty_thousand_keeps_its_memory(pipe: Pipe, as_environment: Operator) -> None:
    pipe.box.salesforce.make_cases(20_000, Subject="many")
    script = (
        "import resource, sys\n"
        "from connector.backfill import library\n"
        "from connector.crms import Query\n"
        "from connector.model import TextRequest\n"
        "peaks = []\n"
        "note = lambda n: peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
        "with library.opened() as fill:\n"
        "    plan = fill.plan('salesforce', Query(where=\"Subject = 'many'\"), TextRequest(), on_page=note)\n"
        "    print(plan, peaks[2], peaks[-1])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    plan, early, late = done.stdout.split()
    with library.opened() as fill:
        report = plans.found(fill.connection, plan).report
    assert report
    assert (report["cases"], report["texts"], report["skipped"]) == (20_000, 20_000, [])
    assert int(late) - int(early) < 20, f"from {early} to {late} MB"


def test_another_reason_texts_the_same_cases_once_more_and_only_once(pipe: Pipe, operator: Operator) -> None:
    cases = pipe.box.salesforce.make_cases(2)
    ids = "\n".join(cases)
    first = operator.plan("--ids", "-", given=ids)["plan"]
    operator.run(first)
    assert operator.plan("--ids", "-", given=ids)["texts"] == 0
    for outcome in operator.outcomes(first):
        pipe.box.ccaip.end_chat(outcome["chat_id"])

    recall = operator.plan("--ids", "-", "--reason", " Spring  recall ", given=ids)
    assert (recall["reason"], recall["texts"]) == ("Spring recall", 2)
    assert f"Plan {recall['plan']} (Spring recall) is done." in operator.run(recall["plan"])
    assert {one["reason"] for one in operator.outcomes(recall["plan"])} == {"Spring recall"}
    assert [texts(pipe)[case] for case in cases] == [2, 2]
    shown = pipe.api("GET", f"/tickets/salesforce/{cases[0]}/texts").json()["texts"]
    assert [one.get("reason") for one in shown] == ["Spring recall", None]

    assert operator.plan("--ids", "-", "--reason", "spring RECALL", given=ids)["texts"] == 0
    assert operator.plan("--ids", "-", "--reason", "autumn recall", given=ids)["texts"] == 2


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x07b"])
def test_a_reason_without_a_name_is_refused(as_environment: Operator, name: str) -> None:
    with library.opened() as fill, pytest.raises(BadSettings, match="expected a name of 1 to 80 characters"):
        fill.plan("salesforce", [NOBODY], TextRequest(reason_name=name))
    expectation = "expected a name of 1 to 80 characters" if name.strip() else "--reason: expected a value"
    assert expectation in as_environment.does("salesforce", "--ids", "-", "--reason", name, status=2, given=NOBODY)
