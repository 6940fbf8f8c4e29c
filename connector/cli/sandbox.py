"""connector sandbox: CCAI Platform, Salesforce and an identity provider, emulated."""

import click

from connector import supervisor


@click.command()
@click.option("--port", type=int, default=8787, show_default=True, help="The port to listen on, on 127.0.0.1.")
@click.option(
    "--outbound-message-url",
    help="Where the sandbox's Salesforce sends outbound messages: an address of this machine.",
)
@click.option("--chat-webhook-url", help="Where its CCAI Platform posts chat webhooks: an address of this machine.")
def sandbox(port: int, outbound_message_url: str | None, chat_webhook_url: str | None) -> None:
    """Emulate CCAI Platform, Salesforce and an identity provider, on this machine only."""
    from connector.sandbox import Sandbox

    supervisor.require_free("127.0.0.1", port, "--port")
    switches = {"chat_webhook_url": chat_webhook_url} if chat_webhook_url else {}
    box = Sandbox(port=port, outbound_message_url=outbound_message_url, switches=switches)
    click.echo(f"The sandbox is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    box.serve()
