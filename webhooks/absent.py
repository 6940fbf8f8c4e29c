"""Optional values that senders leave empty: Flow and External Services send null or an empty string for them."""

from typing import Any

from pydantic import BaseModel, model_validator


def is_empty(value: object) -> bool:
    """Whether a value is null, empty or blank."""
    return value is None or (isinstance(value, str) and not value.strip())


class Sparse(BaseModel):
    """A body in which an empty value counts as absent, so that the default applies. Unknown keys are left alone."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if not (is_empty(value) and key in _keys(cls))}


def _keys(model: type[BaseModel]) -> set[str]:
    """The keys that a model's fields have in a body."""
    return {
        key
        for name, field in model.model_fields.items()
        for key in (name, *(getattr(field.validation_alias, "choices", ())))
    }
