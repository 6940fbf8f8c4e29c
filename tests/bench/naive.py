"""The naive rival: the whole job inside the request, nothing kept. What most teams write first.

UPSTREAM=http://127.0.0.1:9911 gunicorn tests.bench.naive:app
"""

import os

import httpx
import phonenumbers
import requests
from flask import Flask, request
from simple_salesforce import Salesforce

UPSTREAM = os.environ["UPSTREAM"]
app = Flask(__name__)
ccaip = httpx.Client(base_url=UPSTREAM, auth=("tenant", "token"), limits=httpx.Limits(max_connections=64))


class InTheClear(requests.adapters.HTTPAdapter):
    """simple-salesforce always says https; the upstream on this machine does not."""

    def send(self, request, **more):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **more)


session = requests.Session()
session.mount("https://", InTheClear(pool_maxsize=64))
salesforce = Salesforce(instance_url=UPSTREAM, session_id="bench", session=session)


@app.post("/hook")
def hook():
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
