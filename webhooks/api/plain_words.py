"""The documented refusals of CCAI Platform, in words for agents: what it means, and what to do."""

from connector.errors import RefusalCode

_SETTINGS = "CCAI Platform refuses the connector's settings; tell an admin"
_NUMBER = "CCAI Platform does not accept the customer's number; correct the number, then text again"

OF_CODE = {
    RefusalCode.CUSTOMER_BUSY: "the customer is already in a text conversation; answer there, or try again when it has"
    " ended",
    RefusalCode.NO_NUMBER: _NUMBER,
    RefusalCode.INVALID_NUMBER: _NUMBER,
    RefusalCode.NON_US_NUMBER: "CCAI Platform does not text numbers outside the United States here; reach the customer"
    " in another way",
    RefusalCode.NO_MESSAGE: "the message was empty",
    RefusalCode.NO_CHAT_TYPE: _SETTINGS,
    RefusalCode.INVALID_CHAT_TYPE: _SETTINGS,
    RefusalCode.SMS_DISABLED: _SETTINGS,
    RefusalCode.OUTBOUND_SMS_DISABLED: _SETTINGS,
    RefusalCode.NO_OUTBOUND_NUMBER: _SETTINGS,
    RefusalCode.INVALID_OUTBOUND_NUMBER: _SETTINGS,
    RefusalCode.UNKNOWN_OUTBOUND_NUMBER: _SETTINGS,
}
