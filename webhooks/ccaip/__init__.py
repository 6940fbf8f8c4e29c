"""Chat webhooks of CCAI Platform: what happens in a chat, posted as it happens. See docs/chat-events.md."""
