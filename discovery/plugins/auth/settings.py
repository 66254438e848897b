"""The plugin's own settings, read like the server's."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr, field_validator, model_validator

from discovery.system.env import EnvSettings

# Octets of a secret that people choose: as many as in 64 random bits of hex.
MIN_SECRET = 16
# Secrets that stand in our pages and files as examples: whoever reads those has them.
EXAMPLES = ("a-secret-of-16-characters-or-more",)
TOO_SHORT = f"is too short: take {MIN_SECRET} characters or more, such as `discovery token new NAME` makes"


class AuthSettings(EnvSettings):
    api_token: SecretStr | None = None
    """One secret of at least 16 characters that may do everything. Empty: none."""
    api_token_file: Path | None = None
    """File with that secret on its one line, instead; read again when it changes. Empty: none."""
    tokens_file: Path | None = None
    """TOML file of tokens with rights of their own; read again when it changes. Empty: none."""
    require_read_token: bool = False
    """true: reading over HTTP takes a token with the right read, too."""

    @field_validator("api_token")
    @classmethod
    def _hard_to_guess(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < MIN_SECRET:
            raise ValueError(TOO_SHORT)
        return secret

    @model_validator(mode="after")
    def _one_of_them(self) -> AuthSettings:
        if self.api_token is not None and self.api_token_file is not None:
            raise ValueError("API_TOKEN, API_TOKEN_FILE: both are set; leave one out")
        return self

    @property
    def any_token(self) -> bool:
        return self.api_token is not None or self.api_token_file is not None or self.tokens_file is not None
