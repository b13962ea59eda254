"""Messages without ROS: the package's definitions, and messages of them for bags."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from polymorph_ros.interfaces.share import share_folder
from polymorph_ros.interfaces.topics import PACKAGE


@cache
def message_types() -> Typestore:
    """ROS 2's common types and this package's own.

    Raises:
        PolymorphError: the package's ``msg`` folder is not installed.
    """
    types = get_typestore(Stores.ROS2_HUMBLE)
    for file in sorted(share_folder("msg").glob("*.msg")):
        types.register(get_types_from_msg(file.read_text("utf-8"), f"{PACKAGE}/{file.stem}"))
    return types


def serialise(type_name: str, fields: Mapping[str, Any]) -> bytes:
    """A message as CDR.

    Args:
        type_name: in full, as ``polymorph_ros/msg/LabelArray``.
        fields: all fields by name; mappings for messages inside it, sequences for lists.
    """
    message = build(type_name, fields)
    return bytes(message_types().serialize_cdr(message, type_name))


def build(type_name: str, fields: Mapping[str, Any]) -> Any:
    """A message as rosbags has it.

    Args:
        type_name: in full.
        fields: as of ``serialise``.
    """
    types = message_types()
    definitions = types.fielddefs[type_name][1]
    values = {name: _value(kind, fields[name]) for name, kind in definitions}
    return types.types[type_name](**values)


def _value(kind: Any, value: Any) -> Any:
    node, details = kind
    if node is Nodetype.NAME:
        return build(details, value)
    if node is Nodetype.SEQUENCE:
        item = details[0]
        if item[0] is Nodetype.BASE and item[1][0] != "string":
            return np.array(value, item[1][0])
        return [_value(item, entry) for entry in value]
    return value
