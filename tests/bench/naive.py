"""The naive rival: the whole job inside the request, nothing kept. What most teams write first.

UPSTREAM=http://127.0.0.1:9911 gunicorn tests.bench.naive:app
"""

import os
from typing import Any

import httpx
import phonenumbers
import requests
from flask import Flask, request
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

UPSTREAM = os.environ["UPSTREAM"]
app = Flask(__name__)
ccaip = httpx.Client(base_url=UPSTREAM, auth=("tenant", "token"), limits=httpx.Limits(max_connections=64))


class InTheClear(HTTPAdapter):
    """simple-salesforce always says https; the upstream on this machine does not."""

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        request.url = str(request.url).replace("https://", "http://", 1)
        return super().send(request, *args, **more)


session = requests.Session()
session.mount("https://", InTheClear(pool_maxsize=64))
# Any: it finds its objects at run time, and its own types are unions of all there are.
salesforce: Any = Salesforce(instance_url=UPSTREAM, session_id="bench", session=session)


@app.post("/hook")
def hook() -> dict[str, Any]:
    case = request.get_json()
    number = phonenumbers.parse(case["ContactMobile"], "US")
    answer = ccaip.post(
        "/apps/api/v1/sms",
        json={
            "chat_type": "Messaging (SMS)",
            "end_user_number": phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
            "outbound_number": "+16285550199",
            "message": f"Case {case['CaseNumber']} was updated",
            "ticket_id": case["Id"],
        },
    )
    chat = answer.raise_for_status().json()
    salesforce.Case.update(case["Id"], {"CCAIP_Chat_Id__c": chat["id"], "CCAIP_Chat_Status__c": chat["status"]})
    return {"id": chat["id"]}
