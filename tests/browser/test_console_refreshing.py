"""The console's pages refresh themselves: nothing typed is lost, and nobody takes old figures for new ones."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from playwright.sync_api import Page, expect

from connector.store import opt_outs
from tests.support.pipe import Pipe

NUMBERS = ("+14155550181", "+14155550182")


def refresh(page: Page) -> None:
    """Let the page's time for the next refresh come, and its answer arrive."""
    with page.expect_response(lambda response: "x-live" in response.request.headers):
        page.clock.run_for(5_000)
    page.wait_for_timeout(300)


def written(pipe: Pipe, number: str) -> None:
    """A customer writes what a person has to decide."""
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        opt_outs.heard(
            connection, f"chat of {number}", "please don't text me any more", datetime.now(UTC), number=number
        )


@pytest.fixture
def decided(pipe: Pipe) -> Iterator[None]:
    """Nothing waits for a decision after the test."""
    yield
    with psycopg.connect(pipe.url, autocommit=True) as connection:
        for review in opt_outs.reviews(connection, 100, pending=True):
            opt_outs.decide(connection, review.id, opt_out=False, why="the test is over", by="the test")


@pytest.mark.usefixtures("decided")
def test_a_refresh_does_not_take_away_what_is_typed_and_left(pipe: Pipe, operator: Page) -> None:
    written(pipe, NUMBERS[0])
    operator.clock.install()
    operator.goto(f"{pipe.web}/console/opt-outs")
    why = operator.get_by_label("Why").first
    why.fill("asked on the phone, too")
    operator.get_by_role("heading", level=1).click()

    written(pipe, NUMBERS[1])
    refresh(operator)

    expect(why).to_have_value("asked on the phone, too")
    why.fill("")
    operator.get_by_role("heading", level=1).click()
    refresh(operator)
    expect(operator.get_by_role("article")).to_have_count(2)


def test_a_page_says_that_it_is_old_when_the_session_has_ended(pipe: Pipe, operator: Page) -> None:
    operator.clock.install()
    operator.goto(f"{pipe.web}/console/")
    refresh(operator)
    expect(operator.get_by_role("alert")).to_have_count(0)

    operator.context.clear_cookies()
    refresh(operator)

    expect(operator.get_by_role("alert")).to_contain_text("Your session has ended")


def test_a_page_says_that_it_is_old_while_the_connector_does_not_answer(pipe: Pipe, operator: Page) -> None:
    operator.clock.install()
    operator.goto(f"{pipe.web}/console/")
    operator.route("**/console/", lambda route: route.fulfill(status=503), times=1)

    refresh(operator)
    expect(operator.get_by_role("alert")).to_contain_text("does not answer")

    refresh(operator)
    expect(operator.get_by_role("alert")).to_have_count(0)
