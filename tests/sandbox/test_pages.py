"""The sandbox's pages in a browser without scripts: finding a case among many, and the buttons that break things."""

from collections.abc import Iterator

import httpx
import pytest
from lxml import html

from connector.sandbox import Sandbox, controls_page
from tests.support.tls import TLS


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(port=0).running() as box:
        yield box


@pytest.fixture(autouse=True)
def fresh(box: Sandbox) -> None:
    box.reset()


def page(box: Sandbox, path: str = "/") -> html.HtmlElement:
    answer = httpx.get(f"{box.url}{path}", verify=TLS, trust_env=False)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def press(box: Sandbox, path: str) -> html.HtmlElement:
    answer = httpx.post(f"{box.url}{path}", verify=TLS, trust_env=False, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def listed(root: html.HtmlElement) -> list[str]:
    return [str(one) for one in root.xpath("//*[@class='tickets']//*[@class='beside']/span[1]/text()")]


def text(box: Sandbox) -> httpx.Response:
    """What the SMS endpoint answers now."""
    body = {
        "chat_type": "Messaging (SMS)",
        "end_user_number": "+14155550132",
        "outbound_number": "+16285550199",
        "message": "Hello",
    }
    return httpx.post(
        f"{box.url}/apps/api/v1/sms",
        json=body,
        auth=("sandbox", "sandbox-token"),
        verify=TLS,
        trust_env=False,
        timeout=10,
    )


def test_every_case_is_reached_by_pages(box: Sandbox) -> None:
    box.salesforce.make_cases(120)
    first = page(box)
    assert "Page 1 of 3" in first.text_content()
    found, address = listed(first), "//a[@id='older']/@href"
    older = first.xpath(address)
    while older:
        root = page(box, older[0])
        found += listed(root)
        older = root.xpath(address)
    assert len(found) == len(set(found)) == 126


def test_a_case_is_found_by_its_number_subject_or_contact(box: Sandbox) -> None:
    [made] = box.salesforce.make_cases(1, Subject="A <b>violet</b> umbrella")
    number = box.salesforce.case(made)["CaseNumber"]
    box.salesforce.make_cases(60)
    for words in (number, "UMBRELLA violet"):
        assert listed(page(box, f"/?q={words}")) == [number]
    assert "No case contains these words." in page(box, "/?q=nowhere").text_content()


@pytest.mark.parametrize("address", ["/?page=0", "/?page=99", "/?page=x", "/?q=%00&page=-1"])
def test_an_odd_address_is_a_page(box: Sandbox, address: str) -> None:
    assert page(box, address).xpath("//h1")


@pytest.mark.parametrize("name", controls_page.BREAKS)
def test_each_button_breaks_what_it_says(box: Sandbox, name: str) -> None:
    words, fault = controls_page.BREAKS[name]
    root = press(box, f"/controls/break/{name}")
    assert f"Next: {words}." in root.text_content()
    [waiting] = box.faults.waiting()
    assert waiting.kind == fault["kind"]
    if fault["side"] == "ccaip" and fault["kind"] == "status":
        assert text(box).status_code == fault["status"]
        assert text(box).status_code == 200, "only the next call"
    else:
        press(box, "/controls/mend")
        assert box.faults.waiting() == []


def test_the_tenant_is_closed_and_opened_and_everything_reset(box: Sandbox) -> None:
    assert "Closed: outside its hours." in press(box, "/controls/tenant/close").text_content()
    assert box.ccaip.settings.closed
    press(box, "/controls/tenant/open")
    assert not box.ccaip.settings.closed
    box.salesforce.make_cases(3)
    press(box, "/controls/tenant/close")
    press(box, "/controls/reset")
    assert (len(listed(page(box))), box.ccaip.settings.closed) == (6, False)


def test_an_unknown_button_is_not_found_and_another_site_presses_none(box: Sandbox) -> None:
    assert httpx.post(f"{box.url}/controls/break/nothing", verify=TLS, trust_env=False).status_code == 404
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    answer = httpx.post(f"{box.url}/controls/reset", headers=foreign, verify=TLS, trust_env=False)
    assert answer.status_code == 403
