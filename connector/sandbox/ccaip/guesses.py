"""Switches for what the pages about CCAI Platform leave open."""

from connector.sandbox.switches import Switch

SWITCHES = (
    Switch("unauthorized_message", "Unauthorized", "What a 401 for wrong credentials says."),
    Switch("rate_limit_message", "Too many requests", "What a 429 says."),
    Switch("retry_after_on_429", 1, "The seconds in a 429's Retry-After header; 0 leaves the header out."),
    Switch(
        "agent_spelling",
        "both",
        "Which spelling of the agent's keys is understood; the other one is ignored like any unknown key.",
        ("both", "agentId", "agent_id"),
    ),
    Switch(
        "unknown_agent", "ignore", "Naming an agent nobody knows: no agent is assigned, or a 400.", ("ignore", "refuse")
    ),
    Switch(
        "unknown_ticket",
        "ignore",
        "Naming a ticket that the CRM does not have: nobody minds, or a 400.",
        ("ignore", "refuse"),
    ),
    Switch(
        "opted_out_number",
        "refuse",
        "Texting a number that replied STOP: a 400, a chat whose text never arrives, or the text arrives.",
        ("refuse", "swallow", "deliver"),
    ),
    Switch(
        "blocklisted_number",
        "refuse",
        "Texting a number on the tenant's block list: a 400, a chat whose text never arrives, or the text arrives.",
        ("refuse", "swallow", "deliver"),
    ),
    Switch(
        "second_text_same_day",
        "deliver",
        "A second text to one number on one UTC day: it arrives, a 400, or a chat whose text never arrives.",
        ("deliver", "refuse", "swallow"),
    ),
    Switch(
        "after_hours",
        "deliver",
        "A text while the tenant is closed (tenant setting `closed`): it arrives, a 400, or it never arrives.",
        ("deliver", "refuse", "swallow"),
    ),
    Switch("list_names_ticket", False, "Whether the list of chats carries the ticket's id (`out_ticket_id`)."),
    Switch("message_maximum", 1600, "The longest message in characters; a longer one is a 400. 0: no limit."),
    Switch("chat_ends_after_seconds", 0, "When a chat ends by itself; 0: only when it is ended by hand."),
    Switch(
        "chat_webhook_url",
        "",
        "Where chat webhooks of chats made by this endpoint are posted (on this machine only); empty: they send none.",
    ),
    Switch("chat_webhook_secret", "sandbox-webhook-secret", "The primary secret that signs those chat webhooks."),
    Switch(
        "chat_webhook_secondary_secret",
        "sandbox-webhook-secondary",
        "The secondary secret; empty: the header has the primary signature alone.",
    ),
    Switch(
        "chat_webhook_timestamp",
        "iso",
        "The unit of X-Signature-Timestamp: ISO 8601, seconds or milliseconds.",
        ("iso", "seconds", "milliseconds"),
    ),
    Switch(
        "chat_webhook_order",
        "kept",
        "Whether one event is posted after another, or several at once, so that they arrive in any order.",
        ("kept", "any"),
    ),
    Switch("chat_webhook_copies", 1, "How often each event is posted."),
    Switch("chat_webhook_customer_type", "end_user", "The sender type of what a customer writes."),
    Switch("chat_webhook_agent_type", "agent", "The sender type of what an agent writes."),
    Switch("chat_webhook_api_type", "api", "The sender type of a text that this endpoint has sent."),
    Switch("opt_out_words", "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT", "A reply of one of these words opts out."),
    Switch("opt_in_words", "START YES UNSTOP", "A reply of one of these words opts in again."),
    Switch("opt_out_ends_chat", True, "Whether an opt-out ends the customer's chat."),
    Switch(
        "reply_without_chat",
        "last_chat",
        "A reply without an active chat: it belongs to the customer's last chat, or to none.",
        ("last_chat", "none"),
    ),
)
