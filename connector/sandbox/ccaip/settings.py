"""The settings of the emulated tenant."""

from pydantic import BaseModel, ConfigDict

from connector.sandbox.ccaip import chats, phones


class Settings(BaseModel):
    """The tenant. Phone numbers may be written in any format; they are compared as E.164."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    subdomain: str = "sandbox"
    api_token: str = "sandbox-token"  # noqa: S105 -- the sandbox's credentials are public
    numbers: list[str] = ["+16285550199"]
    blocklist: list[str] = []
    sms_enabled: bool = True
    outbound_sms_enabled: bool = True
    closed: bool = False
    requests_per_second: int = 10  # "10 requests a second per customer"; 0: no limit
    agents: list[chats.Agent] = [chats.JOHN_DOE]
    assignment_seconds: float = 2.0  # between created_at and assigned_at in the documented answers
    first_chat_id: int = 1
    first_end_user_id: int = 1
    first_participant_id: int = 1

    @property
    def e164_numbers(self) -> set[str]:
        return {number.e164 for number in map(phones.read, self.numbers) if number}

    @property
    def e164_blocklist(self) -> set[str]:
        return {number.e164 for number in map(phones.read, self.blocklist) if number}
