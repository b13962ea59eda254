"""What the page says as text: tiles, tables, what the run was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polymorph_ros.evaluation.method_metrics import MethodMetrics
from polymorph_ros.evaluation.metrics.bootstrap import Interval
from polymorph_ros.evaluation.metrics.energy import EnergyUse
from polymorph_ros.evaluation.tables import COLUMNS, Column, between, number, plus_minus

# What a variant leaves out says what that is worth: the words, and the variant.
_PARTS = (
    (
        "specialisation: context adapters instead of all-label weights",
        "polymorph_all_label_weights",
    ),
    ("context: scores weighed by P(context)", "polymorph_no_gating"),
    ("time: belief over frames", "polymorph_no_filter"),
    ("time: results reused while the picture stays", "polymorph_no_reuse"),
)


def tiles(one: MethodMetrics) -> list[tuple[str, str, str]]:
    """Name, value and note of the first method's metrics at a glance."""
    energy = one.energy
    known = math.isfinite(energy.joules_per_frame)
    joules = f"{number(1e3 * energy.joules_per_frame, 1)} mJ" if known else "unknown"
    error = f"{plus_minus(1e3 * energy.joules_error)} mJ, {energy.source.value}"
    note = error if known else "no energy reading on this machine"
    changes = f"{number(one.cover.changes_per_minute, 1)} changes per minute"
    return [
        ("mean AP", number(one.mean_ap), between(one.mean_ap_interval) or "no interval"),
        ("energy per frame", joules, note),
        (
            "latency",
            f"{number(1e3 * one.latency.p50_s, 1)} ms",
            f"p95 {number(1e3 * one.latency.p95_s, 1)} ms",
        ),
        ("adapters per frame", number(one.cover.adapters_per_frame, 2), changes),
        (
            "frames",
            f"{one.frames:,}".replace(",", " "),
            f"{one.sequences} sequence{'s' if one.sequences > 1 else ''}",
        ),
    ]


@dataclass(frozen=True)
class Comparison:
    """The table of all methods, with the columns in which some method has a value."""

    columns: tuple[Column, ...]
    metrics: Sequence[MethodMetrics]


def comparison(metrics: Sequence[MethodMetrics]) -> Comparison:
    """The table of all methods."""
    shown = (column for column in COLUMNS if any(column.sort_key(one) for one in metrics))
    return Comparison(tuple(shown), metrics)


def parts_worth(metrics: Sequence[MethodMetrics]) -> list[tuple[str, str, str, str]]:
    """What each part of Polymorph is worth: mean AP with it, less mean AP without.

    Returns:
        the part, the gain, its interval, and the method without the part.
    """
    by_name = {one.method: one for one in metrics}
    rows = []
    for part, variant in _PARTS:
        one = by_name.get(variant)
        if one is None or one.gain is None:
            continue
        turned = Interval(-one.gain.interval.high, -one.gain.interval.low)
        gain = number(-one.gain.mean_ap, signed=True)
        rows.append((part, gain, between(turned, signed=True), variant))
    return rows


def stages(one: MethodMetrics) -> list[tuple[str, list[str]]]:
    """Latency of each stage of a method: p50, p95 and p99, milliseconds."""
    return [
        (name, [number(1e3 * value, 2) for value in (stage.p50_s, stage.p95_s, stage.p99_s)])
        for name, stage in [*one.stages.items(), ("whole frame", one.latency)]
    ]


def live(summary: Mapping[str, Any]) -> dict[str, str]:
    """What came of the run through the node; nothing for an offline run."""
    live = summary.get("live")
    if live is None:
        return {}
    late, planner = live["latency"], live["planner_delay"]
    rate = f"{live['rate_hz']:g} Hz" if live["rate_hz"] else "the recording's own pace"
    verdict = "equal" if live["node_equals_engine"] else "NOT EQUAL"
    return {
        "images": f"{live['published']} published at {rate}, {live['answered']} "
        f"answered, {live['dropped']} dropped for fresher ones, {live['lost']} lost, "
        f"{live['rejected']} rejected, {live['failed']} failed",
        "latency": f"p50 {number(1e3 * late['p50_s'], 1)} ms, p95 "
        f"{number(1e3 * late['p95_s'], 1)} ms, p99 {number(1e3 * late['p99_s'], 1)} ms from the "
        "image's stamp to the answer's receipt in another process",
        "jitter": f"{number(1e3 * live['jitter_s'], 1)} ms (standard deviation of latency)",
        "planner": f"{live['planner_commands']} commands, p50 "
        f"{number(1e3 * planner['p50_s'], 1)} ms from the image's stamp"
        if planner
        else "no command: the example is not here, or nothing changed",
        "node and engine": f"{verdict}: scores of answered images differ by at most "
        f"{live['largest_difference']:.1e} (tolerance {live['tolerance']:.0e})",
        "faults": "; ".join(live["faults"]),
    }


def _power(use: EnergyUse, energy: Mapping[str, Any]) -> str:
    """The first method's power at the data's pace, and how long a battery would last."""
    if not math.isfinite(use.watts_above_idle):
        return "idle power is not known" if math.isfinite(use.watt_hours) else ""
    words = (
        f"{use.watts_above_idle:.3g} W above idle ({energy['idle_watts']:.3g} W) at the data's own "
        f"pace; {use.watt_hours:.3g} Wh for all frames"
    )
    if math.isfinite(use.battery_hours):
        words += f"; a battery of {energy['battery_wh']:g} Wh lasts {use.battery_hours:.3g} h"
    return words


def facts(summary: Mapping[str, Any], metrics: Sequence[MethodMetrics]) -> dict[str, str]:
    """What the run was: bundle, data, machine, versions, energy."""
    bundle, data, machine = summary["bundle"], summary["data"], summary["machine"]
    energy = summary["energy"]
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    return {
        "bundle": f"{bundle['name']}: {bundle['labels']} labels, {bundle['contexts']} contexts. "
        f"{bundle['description']}",
        "bundle checksum": bundle["checksum"],
        "data": f"{data['where']}: {data['frames']} frames in {data['sequences']} sequences",
        "intervals": f"95 %, percentile bootstrap, 1000 draws of {metrics[0].interval_over}; "
        "every method on the same draws",
        "energy": f"{energy['source']}: {energy['scope']}",
        "power": _power(metrics[0].energy, energy),
        "limits of that": energy["note"],
        "standard errors of joules": energy["errors"],
        "memory": summary["memory"],
        "trained baselines": _trained(summary),
        "machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
        + (f", {machine['gpu']}" if machine["gpu"] else ", no GPU"),
        "CPU threads": str(machine["threads"]),
        "load before": f"{machine['load']} processes",
        "versions": f"polymorph_ros {summary['polymorph_ros']}, Python {machine['python']}, "
        f"{versions}",
        "date": machine["date"],
    }


def _trained(summary: Mapping[str, Any]) -> str:
    """How long baselines were trained, and how large they are."""
    trained = [
        f"{one['method']}: {one['trained']['steps']} steps, "
        f"{one['trained']['parameters']:,} parameters"
        for one in summary["methods"]
        if one["trained"]
    ]
    return "; ".join(trained)


def left_out(summary: Mapping[str, Any]) -> list[str]:
    """What of the data is not in the metrics, and what was taken for granted."""
    data = summary["data"]
    lines = []
    if data["labels_left_out"]:
        names = ", ".join(data["labels_left_out"])
        lines.append(
            f"{len(data['labels_left_out'])} labels that the bundle does not know: {names}"
        )
    if data["frames_unread"]:
        lines.append(f"{data['frames_unread']} frames whose picture could not be read")
    lines += [f"{fault['where']}: {fault['reason']}" for fault in data["faults"]]
    more = data["faults_in_all"] - len(data["faults"])
    lines += [f"and {more} more"] if more else []
    return lines + [f"taken for granted: {one}" for one in data["assumptions"]]
