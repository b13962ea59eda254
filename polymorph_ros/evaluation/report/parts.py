"""The parts of the page that are text: tiles, tables, what the run was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from polymorph_ros.evaluation.baselines.table import POLYMORPH, description_of
from polymorph_ros.evaluation.method_metrics import MethodMetrics
from polymorph_ros.evaluation.tables import COLUMNS, between, number

# What a variant leaves out says what that is worth: the words, and the variant.
_APART = (
    (
        "specialisation: context adapters instead of all-label weights",
        "polymorph_all_label_weights",
    ),
    ("context: scores weighed by P(context)", "polymorph_no_gating"),
    ("time: belief over frames", "polymorph_no_filter"),
    ("time: results reused while the picture stays", "polymorph_no_reuse"),
)


def tile(name: str, value: str, note: str) -> str:
    """A number at the top of the page."""
    return (
        f'<div class="tile"><div class="name">{escape(name)}</div>'
        f'<div class="value">{escape(value)}</div><div class="note">{escape(note)}</div></div>'
    )


def tiles(one: MethodMetrics) -> str:
    """The metrics of the first method at a glance."""
    energy = one.energy
    joules = (
        tile("energy per frame", f"{number(1e3 * energy.joules_per_frame, 1)} mJ",
             energy.source.value)
        if math.isfinite(energy.joules_per_frame)
        else tile("energy per frame", "unknown", "no energy figure on this machine")
    )  # fmt: skip
    return "".join(
        (
            tile("mean AP", number(one.mean_ap), between(one.mean_ap_interval) or "no interval"),
            joules,
            tile("latency", f"{number(1e3 * one.latency.p50_s, 1)} ms",
                 f"p95 {number(1e3 * one.latency.p95_s, 1)} ms"),
            tile("adapters per frame", number(one.cover.adapters_per_frame, 2),
                 f"{number(one.cover.changes_per_minute, 1)} changes per minute"),
            tile("frames", f"{one.frames:,}".replace(",", " "),
                 f"{one.sequences} sequence{'s' if one.sequences > 1 else ''}"),
        )
    )  # fmt: skip


def comparison(metrics: Sequence[MethodMetrics]) -> str:
    """The table of all methods; a click on a heading sorts it."""
    shown = [
        column
        for column in COLUMNS
        if any(math.isfinite(value) for one in metrics if (value := column.value(one)) is not None)
    ]
    heads = "".join(
        f"<th>{escape(column.title)}<small>{escape(column.unit)}</small></th>" for column in shown
    )
    rows = []
    for one in metrics:
        words = escape(description_of(one.method))
        cells = [f'<td data-value="">{escape(one.method)}<small>{words}</small></td>']
        for column in shown:
            value = column.value(one)
            plain = "" if value is None or not math.isfinite(value) else repr(float(value))
            note = f"<small>{escape(column.note(one))}</small>" if column.note(one) else ""
            text = "" if value is None else escape(column.cell(one))
            cells.append(f'<td data-value="{plain}">{text}{note}</td>')
        mark = ' class="ours"' if one.method == POLYMORPH else ""
        rows.append(f"<tr{mark}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th>method</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def apart(metrics: Sequence[MethodMetrics]) -> str:
    """What each part of Polymorph is worth: mean AP with it, less mean AP without."""
    by_name = {one.method: one for one in metrics}
    rows = []
    for words, variant in _APART:
        one = by_name.get(variant)
        if one is None or one.gain is None:
            continue
        turned = type(one.gain.interval)(-one.gain.interval.high, -one.gain.interval.low)
        rows.append(
            f'<tr><td class="words">{escape(words)}</td>'
            f"<td>{number(-one.gain.mean_ap, signed=True)}"
            f"<small>{between(turned, signed=True)}</small></td>"
            f"<td>{escape(variant)}</td></tr>"
        )
    if not rows:
        return ""
    return (
        "<table><thead><tr><th>part of Polymorph</th><th>mean AP with it, less without</th>"
        f"<th>without it</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def stages(one: MethodMetrics) -> str:
    """Latency of each stage of a method."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{number(1e3 * value, 2)}</td>" for value in (s.p50_s, s.p95_s, s.p99_s))
        + "</tr>"
        for name, s in [*one.stages.items(), ("whole frame", one.latency)]
    )
    return (
        "<table><thead><tr><th>stage</th><th>p50<small>ms</small></th><th>p95<small>ms</small></th>"
        f"<th>p99<small>ms</small></th></tr></thead><tbody>{rows}</tbody></table>"
    )


def live(summary: Mapping[str, Any]) -> str:
    """What came of the run through the node; nothing for an offline run."""
    live = summary.get("live")
    if live is None:
        return ""
    late, planner = live["latency"], live["planner_delay"]
    rate = f"{live['rate_hz']:g} Hz" if live["rate_hz"] else "the recording's own pace"
    verdict = "equal" if live["node_equals_engine"] else "NOT EQUAL"
    entries = {
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
    return _list(entries)


def _list(entries: Mapping[str, str]) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in entries.items()
        if value
    )
    return f"<dl>{items}</dl>"


def facts(summary: Mapping[str, Any], metrics: Sequence[MethodMetrics]) -> str:
    """What the run was: bundle, data, machine, versions, energy."""
    bundle, data, machine = summary["bundle"], summary["data"], summary["machine"]
    energy = summary["energy"]
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    entries = {
        "bundle": f"{bundle['name']}: {bundle['labels']} labels, {bundle['contexts']} contexts. "
        f"{bundle['description']}",
        "bundle checksum": bundle["checksum"],
        "data": f"{data['where']}: {data['frames']} frames in {data['sequences']} sequences",
        "intervals": f"95 %, percentile bootstrap, 1000 draws of {metrics[0].interval_over}; "
        "every method on the same draws",
        "energy": f"{energy['source']}: {energy['scope']}",
        "limits of that": energy["note"],
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
    return _list(entries)


def _trained(summary: Mapping[str, Any]) -> str:
    """How long baselines were trained, and how large they are."""
    trained = [
        f"{one['method']}: {one['trained']['steps']} steps, "
        f"{one['trained']['parameters']:,} parameters"
        for one in summary["methods"]
        if one["trained"]
    ]
    return "; ".join(trained)


def left_out(summary: Mapping[str, Any]) -> str:
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
    lines += [f"taken for granted: {one}" for one in data["assumptions"]]
    if not lines:
        return ""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
