"""The settings of a connected org."""

from pydantic import Field, SecretStr

from connector import settings
from connector.errors import BadSettings

ENV_PREFIX = f"{settings.PREFIX}SALESFORCE_"


class Settings(settings.FromEnvironment):
    """CONNECTOR_SALESFORCE_… variables. Either `client_secret`, or `jwt_key` and `username`.

    `url` is the org's My Domain; `jwt_key` a private key in PEM. Timeouts in seconds.
    """

    url: settings.HttpsUrl
    api_version: str = Field(default="67.0", pattern=r"^\d{2,3}\.0$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    jwt_key: SecretStr | None = None
    username: str | None = None
    jwt_audience: str = "https://login.salesforce.com"
    client_name: str = Field(default="ccai-sms-connector", pattern=r"^[\w.-]+$")
    connect_timeout: float = Field(default=5, gt=0)
    read_timeout: float = Field(default=30, gt=0)


def load() -> Settings:
    """From the environment. Raises BadSettings."""
    wanted = settings.load(Settings, env_prefix=ENV_PREFIX)
    if not wanted.client_secret and not (wanted.jwt_key and wanted.username):
        raise BadSettings(
            f"{ENV_PREFIX}CLIENT_SECRET: expected the app's secret, "
            f"or {ENV_PREFIX}JWT_KEY (PEM) and {ENV_PREFIX}USERNAME for JWT bearer"
        )
    return wanted
