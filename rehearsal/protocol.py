"""Between the provider protocol's ``Struct`` and plain Python values.

Pulumi sends properties as protobuf structs in which a secret, an asset or a resource reference is
an object with a signature field. A simulated provider looks at plain values and answers with the
very messages it was sent wherever a property is only echoed, so that secrets stay secret and
nothing is lost on the way; the SDK's own ``rpc.deserialize_properties`` would resolve assets and
build resources, and is several times slower (it is written for a program, not for a provider).

Signatures: github.com/pulumi/pulumi sdk/go/common/resource/sig/sig.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from google.protobuf.struct_pb2 import ListValue, Struct, Value

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  (a signature, not a secret)
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""A computed value of a preview, as a string; the SDK's ``rpc.UNKNOWN``."""

MASK = "[secret]"
"""What stands for a secret in everything we write to a file."""


def decode(value: Value, *, mask: bool = False) -> Any:
    """The plain value: secrets unwrapped (or ``"[secret]"`` with ``mask``), whole numbers as int.

    Assets, archives and resource references stay objects with their signature field; unknown values
    stay the string ``UNKNOWN``.
    """
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        return _decode_struct(value.struct_value, mask)
    if kind == "list_value":
        return [decode(item, mask=mask) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    return None


def _decode_struct(struct: Struct, mask: bool) -> Any:
    fields = struct.fields
    # A lookup in a protobuf map inserts the key when it is missing: ask first.
    if SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET:
        return MASK if mask else decode(fields["value"])
    return {key: decode(item, mask=mask) for key, item in fields.items()}


def masked(value: Any) -> Any:
    """A value of an engine event, with ``"[secret]"`` for each secret in it."""
    if isinstance(value, list):
        return [masked(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if items.get(SIGNATURE) == SECRET:
        return MASK
    return {key: masked(item) for key, item in items.items()}


def is_special(value: Value) -> bool:
    """Whether a value is a secret, an asset or a reference instead of an object of the program."""
    return SIGNATURE in value.struct_value.fields


def properties(struct: Struct, *, mask: bool = False) -> dict[str, Any]:
    """The plain properties of a request, see ``decode``."""
    return {key: decode(value, mask=mask) for key, value in struct.fields.items()}


def encode(value: Any, *, secret: bool = False) -> Value:  # noqa: PLR0911  (one per kind)
    """The message for a plain value; ``secret`` wraps it in a secret."""
    if secret:
        wrapped = Value()
        wrapped.struct_value.fields[SIGNATURE].string_value = SECRET
        wrapped.struct_value.fields["value"].CopyFrom(encode(value))
        return wrapped
    if value is None:
        return Value(null_value=cast(Any, 0))
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, (int, float)):
        return Value(number_value=float(value))
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, Mapping):
        return Value(struct_value=to_struct(value))
    return Value(list_value=ListValue(values=[encode(item) for item in value]))


def to_struct(plain: Mapping[Any, Any]) -> Struct:
    """A struct of plain properties; None values are left out, as Pulumi's SDKs do."""
    fields = {str(key): encode(item) for key, item in plain.items() if item is not None}
    return Struct(fields=fields)


def has_unknowns(value: Any) -> bool:
    """Whether a plain value holds a computed value of a preview anywhere."""
    if isinstance(value, str):
        return value == UNKNOWN
    if isinstance(value, Mapping):
        return any(has_unknowns(item) for item in value.values())
    return isinstance(value, list) and any(has_unknowns(item) for item in value)


def secret_texts(struct: Struct) -> set[str]:
    """Every string inside a secret, for finding computed values that repeat one."""
    return {text for value in struct.fields.values() for text in _secret_texts(value, False)}


def _secret_texts(value: Value, inside: bool) -> Iterator[str]:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        if inside:
            yield value.string_value
    elif kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET:
            yield from _secret_texts(fields["value"], True)
        else:
            for item in fields.values():
                yield from _secret_texts(item, inside)
    elif kind == "list_value":
        for item in value.list_value.values:
            yield from _secret_texts(item, inside)


def repeats_secret(value: Any, secrets: set[str]) -> bool:
    """Whether a plain computed value contains the text of a secret (six characters or more)."""
    if isinstance(value, str):
        return any(len(text) >= 6 and text in value for text in secrets)
    if isinstance(value, Mapping):
        return any(repeats_secret(item, secrets) for item in value.values())
    return isinstance(value, list) and any(repeats_secret(item, secrets) for item in value)


def answer(sent: Struct, plain: Mapping[str, Any], outputs: Mapping[str, Any]) -> Struct:
    """The state of a resource: what was sent, unchanged, and the computed ``outputs`` on top.

    Args:
        sent: the inputs as the engine sent them.
        plain: the same, decoded.
        outputs: all properties of the resource; those equal to ``plain`` keep the sent message.
    """
    state = Struct()
    state.CopyFrom(sent)
    secrets = secret_texts(sent)
    for key, value in outputs.items():
        if value is None or (key in plain and plain[key] == value):
            continue
        hidden = bool(secrets) and repeats_secret(value, secrets)
        state.fields[key].CopyFrom(encode(value, secret=hidden))
    return state
