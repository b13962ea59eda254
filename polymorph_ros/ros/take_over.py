"""Has a running node load a bundle: ``python -m polymorph_ros.ros.take_over NODE BUNDLE``.

The contract is in ``polymorph_ros.interfaces.take_over``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.node import Node

from polymorph_ros.errors import PolymorphError
from polymorph_ros.interfaces.share import share_folder
from polymorph_ros.interfaces.take_over import WAIT_S
from polymorph_ros.ros.loader import inside
from polymorph_ros.srv import LoadBundle

_DISCOVERY_S = 10.0


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("node", help="fully qualified name, as /polymorph")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--check", action="store_true", help="only see whether it could")
    options = parser.parse_args()
    rclpy.init(args=[])
    own = Node("polymorph_take_over", start_parameter_services=False)
    try:
        print(_take_over(own, "/" + options.node.strip("/"), options.bundle, options.check))
    except PolymorphError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    finally:
        own.destroy_node()
        rclpy.try_shutdown()


def _take_over(own: Node, name: str, bundle: Path, check: bool) -> str:
    """What was done, in words.

    Raises:
        PolymorphError: the node does not answer, or refuses.
    """
    folder = bundle.resolve()
    asked = GetParameters.Request(names=["bundle_root"])
    answer = _call(own, GetParameters, f"{name}/get_parameters", asked)
    if not answer.values:
        raise PolymorphError("a node of this package", "one without bundle_root", where=name)
    root = answer.values[0].string_value
    inside(Path(root).expanduser() if root else share_folder("bundles"), str(folder))
    if check:
        return f"{name} can load {folder}"
    response = _call(own, LoadBundle, f"{name}/load_bundle", LoadBundle.Request(path=str(folder)))
    if not response.success:
        raise PolymorphError("the bundle loaded", response.message, where=name)
    return f"{name}: {response.message}"


def _call(own: Node, kind: type[Any], service: str, request: Any) -> Any:
    client: Any = own.create_client(kind, service)
    if not client.wait_for_service(_DISCOVERY_S):
        raise PolymorphError(
            f"the service {service}", "none", remedy="start the node, or name it with --node"
        )
    future = client.call_async(request)
    rclpy.spin_until_future_complete(own, future, timeout_sec=WAIT_S)
    if not future.done():
        raise PolymorphError(f"an answer of {service}", f"none within {WAIT_S:g} s")
    return future.result()


if __name__ == "__main__":
    main()
